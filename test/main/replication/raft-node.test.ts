/**
 * Goal: the driver of the groups keeps its promises at its edges: a failure ends its part, cuts do
 * not go past what was handed out, and reads without a leader end.
 * Method: nodes over disks in memory; the test carries the messages and makes the ticks.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DiskLog } from '../../../src/main/log/disk-log.ts'
import { EMPTY_CONF_STATE } from '../../../src/main/raft/configuration.ts'
import { CONFIG_KIND, type Entry } from '../../../src/main/raft/entry.ts'
import { type Message, message } from '../../../src/main/raft/message.ts'
import { GroupLog } from '../../../src/main/replication/group-log.ts'
import { GroupReads } from '../../../src/main/replication/group-reads.ts'
import { type GroupOwner, RaftNode } from '../../../src/main/replication/raft-node.ts'
import { FakeDisk } from '../log/fake-disk.ts'

const GROUP = 0
const TICK_MS = 2

class Node implements AsyncDisposable {
  readonly committed: Entry[] = []
  readonly sent: Message[] = []
  readonly failures: unknown[] = []
  /** What the owner does besides noting what it is handed. */
  onCommitted: () => void = () => {}
  isBehind = false
  readonly log: GroupLog
  readonly node: RaftNode

  private constructor(disk: DiskLog, voters: readonly number[]) {
    const configuration = { ...EMPTY_CONF_STATE, voters }
    this.log = new GroupLog(disk, GROUP, { configuration, commit: 0 }, 1)
    const isBehind = (): boolean => this.isBehind
    const owner: GroupOwner = {
      get isBehind() {
        return isBehind()
      },
      onCommitted: entries => {
        this.committed.push(...entries)
        this.onCommitted()
      },
      onTruncated: () => {},
      onSnapshot: () => {},
      onRole: () => {},
      onRefused: () => {},
    }
    this.node = new RaftNode({
      ...{ nodeId: 1, disk, logs: [this.log], owners: [owner] },
      ...{ tickMs: TICK_MS, electionTicks: 10, hasLeases: false },
      random: () => 0,
      now: () => performance.now(),
      send: (_, sent) => this.sent.push(sent),
      onFailure: error => this.failures.push(error),
    })
  }

  static async start(voters: readonly number[]): Promise<Node> {
    const files = new FakeDisk(4096)
    const options = { directory: '', durability: 'fsync', files } as const
    const disk = await DiskLog.open({ ...options, onFatal: error => assert.fail(String(error)) })
    const node = new Node(disk, voters)
    node.node.start(voters.length === 1 ? [GROUP] : [])
    return node
  }

  async until(isDone: () => boolean): Promise<void> {
    for (let i = 0; i < 1000 && !isDone(); i++) await sleep(1)
    assert.ok(isDone())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.node.close()
  }
}

test('a node that has failed is silent, so that others are elected', async () => {
  await using one = await Node.start([1])
  one.onCommitted = () => {
    throw new Error('the owner cannot go on')
  }
  await one.until(() => one.failures.length > 0)
  await sleep(20 * TICK_MS)
  assert.equal(one.failures.length, 1)
  await assert.rejects(one.node.readIndex(GROUP), { code: 'UNAVAILABLE' })
})

test('what only a member that has lost its disk can hear ends the node, not the process', async () => {
  await using one = await Node.start([1, 2, 3])
  one.node.receive(GROUP, message('heartbeat', 1, { from: 2, term: 3, commit: 100 }))
  one.node.turn()
  assert.equal(one.failures.length, 1)
  one.sent.length = 0
  await sleep(40 * TICK_MS)
  assert.deepEqual(one.sent, [])
})

test('who knows nothing of the members of its group gives no vote', async () => {
  const vote = message('vote', 1, { from: 2, term: 3, index: 0, logTerm: 0 })
  await using one = await Node.start([1, 2, 3])
  one.node.receive(GROUP, vote)
  one.node.turn()
  await one.until(() => one.sent.some(({ type, term }) => type === 'voteResponse' && term === 3))
  // It may have voted in this term, and lost its disk since.
  await using empty = await Node.start([])
  empty.node.receive(GROUP, vote)
  empty.node.turn()
  await sleep(20 * TICK_MS)
  assert.deepEqual(empty.sent, [])
})

test('a log is cut no further than its owner was handed', async () => {
  await using one = await Node.start([1])
  await one.until(() => one.committed.length === 1)
  const index = one.node.propose(GROUP, 1, Uint8Array.of(1))
  // Not even proposed yet: the owner of a manifest may know of more than it was handed.
  one.node.cut(GROUP, index)
  assert.equal(one.log.firstIndex(), 2)
  one.node.flush()
  await one.until(() => one.committed.length === 2)
  one.node.cut(GROUP, index)
  assert.equal(one.log.firstIndex(), 3)
  assert.deepEqual(one.failures, [])
})

test('a group is where it was to go when a change behind the last one is committed', async () => {
  await using one = await Node.start([1])
  await one.until(() => one.node.isLeader(GROUP) && one.committed.length > 0)
  assert.equal(one.node.place(GROUP, [1]), false)
  await one.until(() => one.node.place(GROUP, [1]))
  const changes = (): Entry[] => one.committed.filter(({ kind }) => kind === CONFIG_KIND)
  assert.equal(changes().length, 1)
  // Asked again by somebody else, the leader need not do more.
  assert.equal(one.node.place(GROUP, [1]), true)
  assert.equal(changes().length, 1)
})

test('reads that no leader confirms are refused, asked or not', async () => {
  let hasLeader = false
  const asked: number[] = []
  const ask = (context: number): boolean => {
    asked.push(context)
    return hasLeader
  }
  const reads = new GroupReads(ask, 7, 10)
  const refused = assert.rejects(reads.ask(), { code: 'UNAVAILABLE' })
  reads.send()
  for (let i = 0; i < 5; i++) reads.tick()
  hasLeader = true
  const later = reads.ask()
  reads.send()
  for (let i = 0; i < 5; i++) {
    reads.tick()
    reads.send()
  }
  await refused
  // The question was lost twice; the younger read goes on.
  assert.equal(asked.length, 3)
  reads.release(asked[2], 42)
  assert.equal(await later, 42)
})

test('a node that is behind neither stands for election nor takes over; then it does', async () => {
  await using one = await Node.start([1, 2, 3])
  one.isBehind = true
  one.node.receiveAll([{ group: GROUP, message: message('heartbeat', 1, { from: 2, term: 1 }) }])
  one.node.receiveAll([{ group: GROUP, message: message('timeoutNow', 1, { from: 2, term: 1 }) }])
  await sleep(50 * TICK_MS)
  const elections = (): Message[] => one.sent.filter(({ type }) => /^(preVote|vote)$/.test(type))
  assert.deepEqual(elections(), [])
  one.isBehind = false
  await one.until(() => elections().length > 0)
})
