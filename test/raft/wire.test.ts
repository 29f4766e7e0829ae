/**
 * Goal: the format between members leaves out nothing that the core says.
 * Method: simulated clusters whose every message goes through its bytes, and must come
 * back as it was.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { FRAME_HEADER_BYTES } from '../../src/codec/frame-format.ts'
import { decodeRaftBatch } from '../../src/codec/raft-batch-reader.ts'
import { RaftBatchWriter } from '../../src/codec/raft-batch-writer.ts'
import { WIRE_MESSAGE_TYPES } from '../../src/codec/raft-messages.ts'
import type { Message } from '../../src/main/raft/message.ts'
import { simulate } from '../simulation/simulation.ts'

const SEEDS = 30
/** Members that are asked to hand over, or for a proposal, are leaders there. */
const NOT_SENT: readonly string[] = ['transferLeader', 'propose']

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

test('every message of simulated clusters comes back from its bytes as it was', () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const carry = (message: Message): Message => {
      const arrived = throughBytes(message)
      assert.deepEqual(arrived, message, `seed ${seed}`)
      seen.add(message.type)
      return arrived
    }
    simulate(seed, { carry })
  }
  const expected = WIRE_MESSAGE_TYPES.filter(type => !NOT_SENT.includes(type))
  assert.deepEqual([...seen].sort(), expected.sort())
})
