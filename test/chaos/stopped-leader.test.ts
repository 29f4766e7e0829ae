/**
 * Goal: a leader that was stopped, and does not know yet that it was deposed meanwhile, answers
 * nothing from its old state. Method: a process that is stopped and goes on, with a request waiting
 * for it.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryDirectory } from '../temporary-directory.ts'
import { ChaosCluster } from './chaos-cluster.ts'
import type { ChaosNode } from './chaos-node.ts'

const ELECTION_TIMEOUT_MS = 300
const ROUNDS = 3

async function leaderAt(node: ChaosNode): Promise<number | null> {
  const { partitions } = await node.ask('status', {})
  return partitions[0].leader
}

test('a leader that was deposed while it was stopped refuses nothing that is right', {
  timeout: 120_000,
}, async () => {
  const directory = await temporaryDirectory()
  const settings = { nodes: 3, replicas: 3, partitions: 1, hasSmallDisks: false }
  const problems: string[] = []
  const cluster = await ChaosCluster.start(
    { ...settings, electionTimeoutMs: ELECTION_TIMEOUT_MS },
    directory,
    problem => problems.push(problem),
  )
  try {
    const place = { topicId: randomUUID(), partition: 0 }
    for (let baseOffset = 0; baseOffset < ROUNDS; baseOffset++) {
      await cluster.converged(30_000)
      const leader = await leaderAt(cluster.nodes[0])
      const old = cluster.nodes.find(({ nodeId }) => nodeId === leader) ?? assert.fail()
      const other = cluster.nodes.find(node => node !== old) ?? assert.fail()
      old.signal('SIGSTOP')
      // What comes first is looked at first: requests, and only then what the others have sent.
      const first = old.ask('status', {})
      first.catch(() => {})
      for (;;) {
        const now = await leaderAt(other)
        if (now !== null && now !== leader) break
        await sleep(20)
      }
      const objectId = await other.ask('preregister', { place })
      const extent = { topicPartition: place, baseOffset, lastOffset: baseOffset }
      const object = {
        ...{ objectId, footerPosition: 10, sizeBytes: 20 },
        extents: [{ ...extent, maxTimestamp: 1, position: 0, sizeBytes: 10 }],
      }
      const ask = { place, object, baseOffset, requestId: randomUUID() }
      const added = old.ask('add', ask)
      added.catch(() => {})
      old.signal('SIGCONT')
      assert.equal(await added, null)
      await first
    }
    assert.deepEqual(problems, [])
  } finally {
    await cluster.end()
    await rm(directory, { recursive: true })
  }
})
