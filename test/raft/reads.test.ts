/**
 * Goal: a read is answered only when nobody else can have led since it was asked, and leases hold to
 * what followers have promised.
 * Method: small clusters, message by message.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { message } from '../../src/main/raft/message.ts'
import { leaseMsMax } from '../../src/main/raft/options.ts'
import { ELECTION_TICKS, SmallCluster } from './small-cluster.ts'

function led(size: number, leaseMs = 0): SmallCluster {
  const cluster = new SmallCluster(size, { leaseMs })
  cluster.elect(1)
  assert.equal(cluster.group(1).status().role, 'leader')
  return cluster
}

test('a read waits for a quorum to answer heartbeats that were sent after it', () => {
  const cluster = led(3)
  cluster.tick(1, 1)
  const before = cluster.turn(1)
  assert.ok(cluster.group(1).readIndex(7, 0))
  // Answers to what was sent before the read do not count.
  cluster.deliver(before)
  cluster.deliver(cluster.turn(2))
  cluster.deliver(cluster.turn(3))
  const round = cluster.turn(1)
  assert.deepEqual(cluster.reads[0], [])
  cluster.deliver(round)
  cluster.deliver(cluster.turn(2))
  cluster.turn(1)
  assert.deepEqual(cluster.reads[0], [{ context: 7, index: cluster.group(1).status().commit }])
})

test('a read waits for what was committed when it came, and for nothing newer', () => {
  const cluster = led(3)
  const { commit } = cluster.group(1).status()
  cluster.group(1).readIndex(1, 0)
  cluster.group(1).propose([{ kind: 1, payload: new Uint8Array(1) }])
  cluster.settle()
  assert.deepEqual(cluster.reads[0], [{ context: 1, index: commit }])
  assert.equal(cluster.group(1).status().commit, commit + 1)
})

test('answers that a leader had in an earlier term let no read go', () => {
  const cluster = led(3)
  for (let i = 0; i < 10; i++) {
    cluster.tick(1, 1)
    cluster.settle()
  }
  cluster.group(1).transferLeadership(2)
  cluster.settle()
  cluster.group(2).transferLeadership(1)
  cluster.settle()
  assert.equal(cluster.group(1).status().role, 'leader')
  cluster.cut.add(1)
  cluster.group(1).readIndex(1, 0)
  cluster.settle()
  assert.deepEqual(cluster.reads[0], [])
})

test('the reads of a turn share one round', () => {
  const cluster = led(3)
  cluster.sent.length = 0
  for (let context = 0; context < 100; context++) cluster.group(1).readIndex(context, 0)
  cluster.settle()
  assert.equal(cluster.reads[0].length, 100)
  assert.equal(cluster.sent.filter(({ type }) => type === 'heartbeat').length, 2)
})

test('a cluster of one answers by itself', () => {
  const cluster = led(1)
  cluster.group(1).readIndex(1, 0)
  cluster.settle()
  assert.equal(cluster.reads[0].length, 1)
})

test('a read before the first commit of the term waits for it', () => {
  const cluster = new SmallCluster(3, { preVote: false, checkQuorum: false })
  cluster.elect(2)
  cluster.group(1).campaign()
  const isLeader = (): boolean => cluster.group(1).status().role === 'leader'
  while (!isLeader()) for (const id of [1, 2, 3]) cluster.deliver(cluster.turn(id))
  const { commit } = cluster.group(1).status()
  cluster.group(1).readIndex(1, 0)
  cluster.turn(1)
  assert.equal(cluster.reads[0].length, 0)
  cluster.tick(1, 1)
  cluster.settle()
  // The leader's empty entry was lost with its first ready; the heartbeat's answer brings it again.
  cluster.tick(1, 1)
  cluster.settle()
  const indexes = cluster.reads[0].map(({ index }) => index)
  assert.deepEqual(indexes, [commit + 1])
})

test('a leader without a quorum answers nothing, and gives its reads back when it steps down', () => {
  const cluster = led(3)
  cluster.cut.add(1)
  cluster.group(1).readIndex(5, 0)
  cluster.settle()
  assert.deepEqual(cluster.reads[0], [])
  cluster.tick(1, 2 * ELECTION_TICKS)
  cluster.settle()
  assert.equal(cluster.group(1).status().role, 'follower')
  assert.deepEqual(cluster.dropped[0], [5])
  assert.equal(cluster.group(1).readIndex(6, 0), false)
})

test("a follower's read is asked of the leader", () => {
  const cluster = led(3)
  assert.ok(cluster.group(2).readIndex(9, 0))
  cluster.settle()
  assert.deepEqual(cluster.reads[1], [{ context: 9, index: cluster.group(1).status().commit }])
})

test('a lease lasts from the sending of a round that a quorum answered, and no longer', () => {
  const cluster = led(3, 40)
  cluster.tick(1, 1, 1000)
  cluster.settle()
  cluster.sent.length = 0
  cluster.group(1).readIndex(1, 1039.9)
  cluster.turn(1)
  assert.equal(cluster.reads[0].length, 1)
  assert.deepEqual(cluster.sent, [])
  cluster.cut.add(1)
  cluster.group(1).readIndex(2, 1040)
  cluster.settle()
  assert.equal(cluster.reads[0].length, 1)
})

test('an answer that is late does not make a lease longer', () => {
  const cluster = led(3, 40)
  cluster.tick(1, 1, 1000)
  cluster.deliver(cluster.turn(1))
  const late = [2, 3].flatMap(id => cluster.turn(id))
  cluster.tick(1, 1, 1030)
  cluster.turn(1)
  cluster.deliver(late)
  cluster.group(1).readIndex(1, 1039)
  cluster.group(1).readIndex(2, 1040)
  cluster.turn(1)
  const contexts = cluster.reads[0].map(({ context }) => context)
  assert.deepEqual(contexts, [1])
})

test('a round without a quorum of answers is no lease', () => {
  const cluster = led(3, 40)
  cluster.cut.add(1)
  cluster.tick(1, 1, 1000)
  cluster.settle()
  cluster.group(1).readIndex(1, 1001)
  cluster.settle()
  assert.deepEqual(cluster.reads[0], [])
})

test("a transfer ends the leases of the leader's term", () => {
  const cluster = led(3, 40)
  cluster.tick(1, 1, 1000)
  cluster.settle()
  cluster.cut.add(3)
  cluster.group(1).transferLeadership(3)
  cluster.settle()
  // The target may campaign whenever the message arrives, though the transfer is given up.
  cluster.tick(1, ELECTION_TICKS, 1001)
  cluster.settle()
  cluster.cut.clear()
  cluster.cut.add(1)
  cluster.group(1).readIndex(1, 1002)
  cluster.settle()
  assert.deepEqual(cluster.reads[0], [])
})

test('who has promised a lease votes for nobody, though it restarts or hears of other terms', () => {
  const cluster = led(3, 40)
  const ask = (): boolean => {
    const { term } = cluster.group(2).status()
    const last = { index: 99, logTerm: 99 }
    cluster.group(2).step(message('vote', 2, { from: 3, term: term + 1, ...last }))
    return (
      cluster.group(2).hasReady() && cluster.turn(2).some(({ type }) => type === 'voteResponse')
    )
  }
  assert.equal(ask(), false)
  cluster.group(2).step(message('timeoutNow', 2, { from: 1, term: 9 }))
  cluster.turn(2)
  assert.equal(ask(), false)
  cluster.restart(2)
  assert.equal(ask(), false)
  cluster.group(2).campaign()
  assert.equal(cluster.group(2).status().role, 'follower')
  cluster.tick(2, ELECTION_TICKS - 1)
  assert.equal(ask(), false)
  cluster.tick(2, 1)
  // Its timeout has passed as well: it is a candidate itself, or votes.
  assert.ok(ask() || cluster.group(2).status().role !== 'follower')
})

test('the longest lease leaves out the tick that may follow at once, and the drift', () => {
  assert.equal(leaseMsMax(10, 100, 0), 900)
  assert.equal(leaseMsMax(11, 100, 0.25), 800)
})
