/**
 * Goal: a leader is not misled by late answers, stays within its limits, and takes changes and
 * transfers one at a time and no longer than they last.
 * Method: small clusters, message by message.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ConfigChange } from '../../src/codec/config-change.ts'
import { CONFIG_KIND, REFUSED_KIND } from '../../src/main/raft/entry.ts'
import { type Message, message } from '../../src/main/raft/message.ts'
import type { RaftSettings } from '../../src/main/raft/options.ts'
import type { Progress } from '../../src/main/raft/progress.ts'
import { ELECTION_TICKS, SmallCluster } from './small-cluster.ts'

const proposal = (bytes: number): { kind: number; payload: Uint8Array } => ({
  kind: 1,
  payload: new Uint8Array(bytes),
})

const removal = (member: number): ConfigChange => ({
  transition: 'auto',
  changes: [{ operation: 'remove', member }],
})

function led(settings: Partial<RaftSettings> = {}): SmallCluster {
  const cluster = new SmallCluster(3, settings)
  cluster.elect(1)
  return cluster
}

function progressOf(cluster: SmallCluster, member: number): Progress {
  const progress = cluster.group(1).status().progress.get(member)
  assert.ok(progress)
  return progress
}

function answer(cluster: SmallCluster, fields: Partial<Message>): void {
  const { term } = cluster.group(1).status()
  cluster.group(1).step(message('appendResponse', 1, { from: 2, term, ...fields }))
}

/** Kinds of the member's last entries. */
function lastKinds(cluster: SmallCluster, member: number, count: number): number[] {
  const storage = cluster.storages[member - 1]
  const end = storage.lastIndex() + 1
  return (storage.entries(end - count, end, 1000) ?? []).map(({ kind }) => kind)
}

test('late answers of a follower change nothing of what is known of it', () => {
  const cluster = led()
  for (let i = 0; i < 3; i++) cluster.group(1).propose([proposal(1)])
  cluster.settle()
  const { match, next } = progressOf(cluster, 2)
  answer(cluster, { index: match - 1 })
  answer(cluster, { index: match - 1, reject: true, rejectHint: 1, logTerm: 1 })
  const { match: matchAfter, next: nextAfter, state } = progressOf(cluster, 2)
  assert.deepEqual([matchAfter, nextAfter, state], [match, next, 'replicate'])
  assert.equal(cluster.group(1).hasReady(), false)
})

test('a late refusal does not make a probe go back behind what is acknowledged', () => {
  const cluster = led()
  cluster.group(1).reportUnreachable(2)
  const { match } = progressOf(cluster, 2)
  answer(cluster, { index: match, reject: true, rejectHint: 1, logTerm: 1 })
  assert.equal(progressOf(cluster, 2).next, match + 1)
})

test('a silent member is sent no snapshot until it is heard again', () => {
  const cluster = led()
  cluster.cut.add(3)
  for (let i = 0; i < 3; i++) cluster.group(1).propose([proposal(1)])
  for (let i = 0; i <= 2 * ELECTION_TICKS; i++) {
    cluster.tick(1, 1)
    cluster.settle()
  }
  cluster.storages[0].compact(cluster.storages[0].newest.index)
  cluster.group(1).reportUnreachable(3)
  cluster.group(1).propose([proposal(1)])
  cluster.settle()
  const snapshots = (): number => cluster.sent.filter(({ type }) => type === 'snapshot').length
  assert.equal(snapshots(), 0)
  cluster.cut.clear()
  cluster.tick(1, 1)
  cluster.settle()
  assert.equal(snapshots(), 1)
})

test('a new leader takes no change while one that is in its log may not be applied', () => {
  const cluster = led()
  cluster.group(1).proposeChange(removal(3))
  cluster.deliver(cluster.turn(1).filter(({ to }) => to === 2))
  cluster.cut.add(1)
  const others = [2, 3]
  for (const id of others) cluster.group(id).forgetLeader()
  cluster.group(2).campaign()
  while (cluster.group(2).status().role !== 'leader') {
    for (const id of others) cluster.deliver(cluster.turn(id))
  }
  cluster.group(2).proposeChange(removal(1))
  cluster.settle()
  assert.deepEqual(lastKinds(cluster, 2, 3), [CONFIG_KIND, 0, REFUSED_KIND])
  assert.deepEqual(cluster.group(2).status().configuration.voters, [1, 2])
})

test('a change that was refused for its size is not under way', () => {
  const cluster = led({ uncommittedBytesMax: 65 })
  assert.ok(cluster.group(1).propose([proposal(60)]))
  assert.equal(cluster.group(1).proposeChange(removal(3)), false)
  cluster.settle()
  assert.ok(cluster.group(1).proposeChange(removal(3)))
  cluster.settle()
  assert.deepEqual(cluster.group(1).status().configuration.voters, [1, 2])
})

test('a transfer to a voter ends when that is removed', () => {
  const cluster = led()
  cluster.cut.add(3)
  cluster.group(1).proposeChange(removal(3))
  cluster.group(1).transferLeadership(3)
  assert.equal(cluster.group(1).propose([proposal(1)]), false)
  cluster.settle()
  assert.deepEqual(cluster.group(1).status().configuration.voters, [1, 2])
  assert.ok(cluster.group(1).propose([proposal(1)]))
})
