/**
 * Goal: limits, options and what befalls a member outside the reference's scripts: restarts, late
 * snapshots, changes that cannot be made.
 * Method: small clusters, message by message.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { type ConfigChange, encodeConfigChange } from '../../src/codec/config-change.ts'
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import { CONFIG_KIND, NOOP_KIND, REFUSED_KIND } from '../../src/main/raft/entry.ts'
import { impliedCommit } from '../../src/main/raft/implied-commit.ts'
import { message } from '../../src/main/raft/message.ts'
import { raftOptions } from '../../src/main/raft/options.ts'
import { RaftGroup } from '../../src/main/raft/raft-group.ts'
import { RaftLog } from '../../src/main/raft/raft-log.ts'
import { MemoryStorage } from './memory-storage.ts'
import { ELECTION_TICKS, SmallCluster } from './small-cluster.ts'

const payload = (bytes: number): Uint8Array => new Uint8Array(bytes)
const proposal = (bytes: number): { kind: number; payload: Uint8Array } => ({
  kind: 1,
  payload: payload(bytes),
})

test('a leader refuses what goes beyond its uncommitted bytes, until it commits', () => {
  const cluster = new SmallCluster(3, { uncommittedBytesMax: 100 })
  cluster.elect(1)
  const leader = cluster.group(1)
  assert.ok(leader.propose([proposal(60)]))
  assert.equal(leader.propose([proposal(41)]), false)
  assert.ok(leader.propose([proposal(40)]))
  cluster.settle()
  assert.ok(leader.propose([proposal(1000)]), 'one is always accepted')
})

test('appends carry at most the bytes of a message, and no more are in flight than allowed', () => {
  const limits = { messageBytesMax: 200, inflightBytesMax: 250, inflightMessagesMax: 10 }
  const cluster = new SmallCluster(3, limits)
  cluster.elect(1)
  cluster.cut.add(3)
  for (let i = 0; i < 20; i++) cluster.group(1).propose([proposal(60)])
  const sent = cluster.turn(1).filter(({ type, to }) => type === 'append' && to === 2)
  // The window closes with the message that fills it.
  const bytes = sent.flatMap(({ entries }) => entries).length * 60
  assert.ok(bytes >= 250 && bytes < 250 + 120, `${bytes} bytes in flight`)
  cluster.deliver(sent)
  cluster.settle()
  assert.equal(cluster.group(2).status().applied, cluster.group(1).status().applied)
  // Entries of 100 bytes: what waited for the window is sent two at a time.
  const counts = cluster.sent.map(({ entries }) => entries.length)
  assert.equal(Math.max(...counts), 2)
})

test('a member that restarts has its term, vote, log and configuration', () => {
  const cluster = new SmallCluster(3)
  cluster.elect(1)
  cluster.group(1).propose([proposal(1)])
  cluster.settle()
  cluster.group(1).proposeChange({
    transition: 'auto',
    changes: [{ operation: 'remove', member: 3 }],
  })
  cluster.settle()
  const before = cluster.group(2).status()
  cluster.restart(2)
  const { term, commit, applied, configuration } = cluster.group(2).status()
  assert.deepEqual([term, commit, applied], [before.term, before.commit, before.applied])
  assert.deepEqual(configuration.voters, [1, 2])
  cluster.group(2).step(message('vote', 2, { from: 3, term, index: 99, logTerm: 99 }))
  const answer = cluster.turn(2).find(({ type }) => type === 'voteResponse')
  assert.equal(answer?.reject, true, 'the vote of the term was given')
})

test('a follower gets a snapshot as soon as there is one, again when it was lost', () => {
  const cluster = new SmallCluster(3, { snapshotTicks: 20 })
  cluster.elect(1)
  cluster.cut.add(3)
  for (let i = 0; i < 5; i++) cluster.group(1).propose([proposal(1)])
  cluster.settle()
  const storage = cluster.storages[0]
  storage.compact(storage.newest.index)
  const take = storage.snapshot
  storage.snapshot = () => undefined
  cluster.cut.clear()
  cluster.tick(1, 1)
  cluster.settle()
  assert.ok(cluster.sent.every(({ type }) => type !== 'snapshot'))
  storage.snapshot = take
  cluster.tick(1, 1)
  cluster.deliver(cluster.turn(1))
  cluster.deliver(cluster.turn(3))
  const lost = cluster.turn(1)
  assert.equal(lost.filter(({ type }) => type === 'snapshot').length, 1)
  for (let i = 0; i < 25; i++) {
    cluster.tick(1, 1)
    cluster.settle()
  }
  assert.equal(cluster.group(3).status().applied, cluster.group(1).status().applied)
  assert.equal(cluster.sent.filter(({ type }) => type === 'snapshot').length, 2)
})

test('a change that cannot be made changes nothing; a second one at a time is refused', () => {
  const cluster = new SmallCluster(3)
  cluster.elect(1)
  const leader = cluster.group(1)
  const remove = [1, 2, 3].map(member => ({ operation: 'remove' as const, member }))
  leader.proposeChange({ transition: 'auto', changes: remove })
  leader.proposeChange({ transition: 'auto', changes: [{ operation: 'remove', member: 3 }] })
  cluster.settle()
  for (const group of cluster.groups) {
    assert.deepEqual(group.status().configuration.voters, [1, 2, 3])
  }
  const last = cluster.storages[1].lastIndex()
  const kinds = cluster.storages[1].entries(last, last + 1, 1)?.map(({ kind }) => kind)
  assert.deepEqual(kinds, [REFUSED_KIND])
})

test('entries of older terms are committed only together with one of the own (figure 8)', () => {
  const options = raftOptions({ id: 1, electionTicks: ELECTION_TICKS, random: () => 0 })
  const log = new RaftLog(new MemoryStorage(), options)
  log.append([{ term: 2, index: 1, kind: 1, payload: payload(0) }])
  assert.equal(log.commitOwnTerm(1, 4), false)
  log.append([{ term: 4, index: 2, kind: 1, payload: payload(0) }])
  assert.equal(log.commitOwnTerm(2, 4), true)
  assert.equal(log.committed, 2)
})

test("a leader's first entry is empty, of its own term and of a kind that no caller has", () => {
  const cluster = new SmallCluster(3)
  cluster.elect(1)
  const { term } = cluster.group(1).status()
  const [first] = cluster.storages[1].entries(2, 3, 1) ?? []
  assert.deepEqual(first, { term, index: 2, kind: NOOP_KIND, payload: payload(0) })
})

test('an append commits no more than it has itself: what is behind it may differ (figure 2)', () => {
  const options = raftOptions({ id: 1, electionTicks: ELECTION_TICKS, random: () => 0 })
  const log = new RaftLog(new MemoryStorage(), options)
  const entries = [1, 2, 3].map(index => ({ term: 1, index, kind: 1, payload: payload(0) }))
  log.append(entries)
  assert.equal(log.appendAfter({ term: 1, index: 1 }, [entries[1]], 9), 2)
  assert.deepEqual([log.committed, log.lastIndex], [2, 3])
})

test('a snapshot overtakes changes of the configuration that are being applied', () => {
  const cluster = new SmallCluster(3)
  const group = cluster.group(2)
  const change: ConfigChange = {
    transition: 'auto',
    changes: [{ operation: 'remove', member: 3 }],
  }
  const entry = { term: 1, index: 2, kind: CONFIG_KIND, payload: encodeConfigChange(change) }
  const before = { from: 1, term: 1, index: 1, logTerm: 1 }
  group.step(message('append', 2, { ...before, entries: [entry], commit: 2 }))
  const { append } = group.ready()
  assert.ok(append)
  cluster.storages[1].append(append)
  for (const response of append.responses) if (response.to === 2) group.step(response)
  const { apply } = group.ready()
  assert.equal(apply?.entries.length, 1)
  const configuration = { ...EMPTY_CONF_STATE, voters: [2, 4] }
  const snapshot = { index: 9, term: 1, configuration, data: payload(0) }
  group.step(message('snapshot', 2, { from: 1, term: 1, snapshot }))
  assert.equal(group.applyChange(entry), undefined)
  assert.deepEqual(group.status().configuration.voters, [2, 4])
})

test('followers refuse proposals unless forwarding is on', () => {
  for (const forwardProposals of [false, true]) {
    const cluster = new SmallCluster(3, { forwardProposals })
    cluster.elect(1)
    const before = cluster.group(1).status().commit
    assert.equal(cluster.group(2).propose([proposal(1)]), forwardProposals)
    cluster.settle()
    assert.equal(cluster.group(1).status().commit, forwardProposals ? before + 1 : before)
  }
})

test('pre-vote and check-quorum are on unless switched off', () => {
  const options = raftOptions({ id: 1, electionTicks: ELECTION_TICKS, random: () => 0 })
  assert.ok(options.preVote && options.checkQuorum && options.stepDownOnRemoval)
  assert.ok(!options.forwardProposals && options.leaseMs === 0)
})

test('options out of range are refused with name and value', () => {
  const good = { id: 1, electionTicks: 5, random: () => 0 }
  assert.throws(() => raftOptions({ ...good, id: 0 }), /id must be .* not 0/)
  assert.throws(() => raftOptions({ ...good, electionTicks: 1 }), /electionTicks must be/)
  assert.throws(() => raftOptions({ ...good, leaseMs: 1, checkQuorum: false }), /leaseMs must be/)
})

test('an installed snapshot must be durable before it is acknowledged', () => {
  const group = new RaftGroup(
    { id: 2, electionTicks: ELECTION_TICKS, random: () => 0 },
    new MemoryStorage(),
  )
  group.step(message('heartbeat', 2, { from: 1, term: 1 }))
  group.ready()
  const configuration = { ...EMPTY_CONF_STATE, voters: [1, 2] }
  const snapshot = { index: 7, term: 1, configuration, data: payload(0) }
  group.step(message('snapshot', 2, { from: 1, term: 1, snapshot }))
  const { append } = group.ready()
  assert.equal(append?.snapshot, snapshot)
  assert.ok(append.mustSync)
  const acknowledged = append.responses.find(({ type }) => type === 'appendResponse')
  assert.equal(acknowledged?.index, 7)
})

test('a member takes a snapshot whose configuration does not know it yet', () => {
  const cluster = new SmallCluster(1)
  cluster.elect(1)
  const before = cluster.storages[0].newest
  const added = cluster.join()
  cluster.group(1).proposeChange({
    transition: 'auto',
    changes: [{ operation: 'voter', member: added }],
  })
  cluster.turn(1)
  cluster.turn(1)
  cluster.storages[0].compact(before.index)
  cluster.storages[0].newest = before
  cluster.settle()
  cluster.tick(1, 1)
  cluster.settle()
  assert.deepEqual(cluster.group(added).status().configuration.voters, [1, added])
})

test('a leader that removes itself leaves its longer log behind, and the other goes on', () => {
  const cluster = new SmallCluster(2)
  cluster.elect(1)
  const remove = { operation: 'remove', member: 1 } as const
  cluster.group(1).proposeChange({ transition: 'auto', changes: [remove] })
  cluster.deliver(cluster.turn(1))
  cluster.group(1).propose([proposal(1)])
  cluster.deliver(cluster.turn(2))
  cluster.cut.add(2)
  cluster.settle()
  assert.equal(cluster.group(1).role, 'follower')
  assert.ok(cluster.storages[0].lastIndex() > cluster.storages[1].lastIndex())
  cluster.cut.clear()
  cluster.tick(2, 2 * ELECTION_TICKS)
  cluster.settle()
  assert.equal(cluster.group(2).role, 'leader')
  assert.deepEqual(cluster.group(2).status().configuration.voters, [2])
})

test('of two changes in a log the first is committed', () => {
  const kinds = [1, CONFIG_KIND, 1, CONFIG_KIND, 1, 1, CONFIG_KIND, 1]
  const entries = kinds.map((kind, i) => ({ kind, index: 10 + i }))
  assert.equal(impliedCommit([]), 0)
  assert.equal(impliedCommit(entries.slice(0, 3)), 0)
  assert.equal(impliedCommit(entries.slice(0, 4)), 11)
  assert.equal(impliedCommit(entries), 13)
})

test('a member that is held back votes but does not stand, also when it is told to take over', () => {
  const cluster = new SmallCluster(3)
  cluster.elect(1)
  cluster.group(2).holdBack(true)
  cluster.group(1).transferLeadership(2)
  cluster.settle()
  assert.equal(cluster.group(1).role, 'leader')

  cluster.cut.add(1)
  const tick = (): void => {
    for (const id of [2, 3]) cluster.group(id).tick(0)
    cluster.settle()
  }
  for (let i = 0; i < 10 * ELECTION_TICKS && cluster.group(3).role !== 'leader'; i++) tick()
  assert.equal(cluster.group(3).role, 'leader', 'elected by the one that is held back')

  cluster.cut.add(3)
  for (let i = 0; i < 10 * ELECTION_TICKS; i++) tick()
  assert.equal(cluster.group(2).role, 'follower')
  cluster.group(2).holdBack(false)
  cluster.group(2).tick(0)
  assert.equal(cluster.group(2).role, 'preCandidate', 'the time that has passed counts')
})
