/**
 * Goal: a follower promises no more than it has, keeps what it has promised, and takes late reports
 * and snapshots for nothing new.
 * Method: one member of three, message by message; the test is its leader and its disk.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import type { Entry, Snapshot } from '../../src/main/raft/entry.ts'
import { type Message, message } from '../../src/main/raft/message.ts'
import type { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { AppendWork } from '../../src/main/raft/ready.ts'
import { SmallCluster } from './small-cluster.ts'

const LEADER = 1
const SELF = 2
/** Where logs of a SmallCluster begin. */
const START = { index: 1, logTerm: 1 }

function entries(term: number, first: number, last: number): Entry[] {
  const payload = new Uint8Array(0)
  return Array.from({ length: last - first + 1 }, (_, i) => {
    return { term, index: first + i, kind: 1, payload }
  })
}

function snapshotAt(index: number, term: number): Snapshot {
  const configuration = { ...EMPTY_CONF_STATE, voters: [1, 2, 3] }
  return { index, term, configuration, data: new Uint8Array(0) }
}

function append(fields: Partial<Message>): Message {
  return message('append', SELF, { from: LEADER, ...START, ...fields })
}

/** A follower with entries 2 to 5 of term 1, durable and not committed. */
function withEntries(): { cluster: SmallCluster; group: RaftGroup } {
  const cluster = new SmallCluster(3)
  const group = cluster.group(SELF)
  group.step(append({ term: 1, entries: entries(1, 2, 5) }))
  cluster.turn(SELF)
  return { cluster, group }
}

function appendWork(group: RaftGroup): AppendWork {
  const { append: work } = group.ready()
  assert.ok(work)
  return work
}

/** What it acknowledges next; its append is done. */
function acknowledged(cluster: SmallCluster): number | undefined {
  return cluster.turn(SELF).find(({ type }) => type === 'appendResponse')?.index
}

test('an append is acknowledged as far as it agrees with the log, though the log is longer', () => {
  const { cluster, group } = withEntries()
  group.step(append({ term: 2 }))
  assert.equal(acknowledged(cluster), 1)
})

test('the commit index stops where the append agrees with the log, though the log is longer', () => {
  const { group } = withEntries()
  group.step(append({ term: 2, entries: entries(1, 2, 3), commit: 5 }))
  assert.equal(group.status().commit, 3)
})

test('a snapshot that the log goes on behind commits, and takes no entries away', () => {
  const { cluster, group } = withEntries()
  group.step(message('snapshot', SELF, { from: LEADER, term: 2, snapshot: snapshotAt(3, 1) }))
  assert.equal(group.status().commit, 3)
  assert.equal(acknowledged(cluster), 3, 'the entries behind it may differ from the leader')
  assert.equal(cluster.storages[SELF - 1].lastIndex(), 5)
  assert.equal(cluster.storages[SELF - 1].firstIndex(), 2)
})

test('a snapshot older than the commit index changes nothing', () => {
  const { cluster, group } = withEntries()
  group.step(append({ term: 1, commit: 5, index: 5 }))
  cluster.settle()
  cluster.storages[SELF - 1].compact(5)
  group.step(message('snapshot', SELF, { from: LEADER, term: 1, snapshot: snapshotAt(3, 1) }))
  const work = appendWork(group)
  assert.equal(work.snapshot, undefined)
  assert.equal(work.responses.find(({ to }) => to === LEADER)?.index, 5)
  assert.equal(group.status().commit, 5)
})

test('a member that installs a snapshot is quiet, and does not campaign', () => {
  const group = new SmallCluster(3).group(SELF)
  group.step(message('snapshot', SELF, { from: LEADER, term: 1, snapshot: snapshotAt(9, 1) }))
  const { responses } = appendWork(group)
  assert.equal(group.hasReady(), false)
  group.campaign()
  assert.equal(group.hasReady(), false)
  for (const response of responses) if (response.to === SELF) group.step(response)
  group.campaign()
  assert.ok(group.hasReady())
})

test('a vote must survive a crash, also in a term that is durable already', () => {
  const { cluster, group } = withEntries()
  const ask = (from: number, index: number): AppendWork => {
    group.step(message('vote', SELF, { from, term: 2, index, logTerm: 1 }))
    return appendWork(group)
  }
  group.forgetLeader()
  const refused = ask(3, 4)
  assert.deepEqual(refused.hardState, { term: 2, vote: 0, commit: 1 })
  cluster.storages[SELF - 1].append(refused)
  const granted = ask(LEADER, 5)
  assert.deepEqual(granted.hardState, { term: 2, vote: LEADER, commit: 1 })
  assert.ok(granted.mustSync)
})

test('a report of entries that were replaced says nothing of those in their place', () => {
  const cluster = new SmallCluster(3)
  const group = cluster.group(SELF)
  const storage = cluster.storages[SELF - 1]
  group.step(append({ term: 1, entries: entries(1, 2, 5) }))
  storage.append(appendWork(group))
  group.forgetLeader()
  group.step(message('vote', SELF, { from: LEADER, term: 2, index: 9, logTerm: 1 }))
  const vote = appendWork(group)
  storage.append(vote)
  group.step(append({ term: 2, index: 3, entries: entries(2, 4, 5), commit: 5 }))
  const { append: replacing } = group.ready()
  assert.equal(replacing?.entries.length, 2)
  const report = vote.responses.find(({ type }) => type === 'appended')
  assert.ok(report)
  assert.deepEqual([report.term, report.index, report.logTerm], [2, 5, 1])
  group.step(report)
  assert.equal(group.hasReady(), false, 'nothing is durable that could be applied')
})
