/**
 * Goal: the format between members leaves out nothing that the core says.
 * Method: random clusters in virtual time whose every message goes through its bytes, and must come
 * back as it was.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { FRAME_HEADER_BYTES } from '../../src/codec/frame-format.ts'
import { decodeRaftBatch } from '../../src/codec/raft-batch-reader.ts'
import { RaftBatchWriter } from '../../src/codec/raft-batch-writer.ts'
import { WIRE_MESSAGE_TYPES } from '../../src/codec/raft-messages.ts'
import type { Message } from '../../src/main/raft/message.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const SEEDS = 30
const STEPS = 4000

/** Who hands the message over: of what is passed on, any other member. */
function senderOf({ type, from, to }: Message): number {
  const isPassedOn = type === 'transferLeader' || type === 'readIndex' || type === 'propose'
  return isPassedOn ? (to % 3) + 1 : from
}

function throughBytes(message: Message): Message {
  const sender = senderOf(message)
  const writer = new RaftBatchWriter(sender)
  writer.add(3, message)
  const content = writer.finish().subarray(FRAME_HEADER_BYTES + 1)
  const decoded = decodeRaftBatch(content, sender, message.to)
  assert.equal(decoded.length, 1)
  assert.equal(decoded[0].group, 3)
  return decoded[0].message
}

test('every message of random clusters comes back from its bytes as it was', () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const cluster = new VirtualCluster(seed, 3, { forwardProposals: seed % 2 === 0 })
    cluster.carry = message => {
      const arrived = throughBytes(message)
      assert.deepEqual(arrived, message, `seed ${seed}`)
      seen.add(message.type)
      return arrived
    }
    for (let step = 0; step < STEPS; step++) cluster.step()
    assert.ok(cluster.heal(), `seed ${seed}: the members do not come to agree`)
  }
  assert.deepEqual([...seen].sort(), [...WIRE_MESSAGE_TYPES].sort())
})
