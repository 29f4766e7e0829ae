/**
 * All nodes of a cluster are killed at once while commits flow, their disks are gone, and the
 * cluster is restored from the bucket alone: what of all that was acknowledged is lost? It must not
 * be older than the tail's interval and the time that the tail's upload took.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type TopicPartition,
} from '../../src/index.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { type Acknowledgement, readAcknowledgements } from '../cluster/acknowledgements.ts'
import { BenchCluster } from '../cluster/bench-cluster.ts'
import { flowCommitter } from '../cluster/node-flow.ts'
import type { FlowReport } from '../cluster/node-requests.ts'
import { EXTENT_OFFSETS } from '../committer.ts'
import type { Case, Round } from '../measure.ts'
import { Random } from '../random.ts'

const ELECTION_TIMEOUT_MS = 1000
const IN_FLIGHT = 1024
/** Where as many commits as possible are made, ids are there for so many of a node's a second. */
const COMMITS_A_SECOND_MAX = 10_000
const MEMTABLE_BYTES_MAX: number = 32 * 1024 * 1024
const LOOK_MS = 5
const MARK_TIMEOUT_MS = 60_000

interface Disaster {
  nodes: number
  /** Of all nodes together; null: as many as go. */
  ratePerSecond: number | null
  /** Of a commit. */
  extents: number
  /** null: no tail, and a flush so often. */
  tailIntervalMs: number | null
  flushIntervalMs?: number
}

const FLOW = { ratePerSecond: 10_000, extents: 1 }
const FULL: readonly Disaster[] = [3, 1].flatMap((nodes): Disaster[] => [
  { ...FLOW, nodes, tailIntervalMs: 1000 },
  { ...FLOW, nodes, tailIntervalMs: 5000 },
  { ...FLOW, nodes, tailIntervalMs: null, flushIntervalMs: 3000 },
  { nodes, ratePerSecond: null, extents: 10, tailIntervalMs: 1000 },
])
const SMALL: readonly Disaster[] = [
  { nodes: 3, ratePerSecond: 500, extents: 1, tailIntervalMs: 200 },
  { nodes: 1, ratePerSecond: 500, extents: 1, tailIntervalMs: null, flushIntervalMs: 200 },
]

export async function runDisaster(context: BenchContext): Promise<void> {
  const disasters = context.isSmall ? SMALL : FULL
  await context.measure(...disasters.map(disaster => disasterCase(context, disaster)))
}

function disasterCase(context: BenchContext, disaster: Disaster): Case {
  const { nodes, ratePerSecond, extents, tailIntervalMs, flushIntervalMs } = disaster
  const folder = join(context.directory, 'round')
  const flow = `${ratePerSecond ?? 'as many as go'} commits/s of ${extents}`
  const kept = tailIntervalMs === null ? `flush ${flushIntervalMs} ms` : `tail ${tailIntervalMs} ms`
  return {
    ...{ workload: 'disaster', unit: 'commits' },
    variant: `${nodes} ${nodes === 1 ? 'node' : 'nodes'}, ${flow}, ${kept}`,
    run: async round => {
      const flowed = await flowAndKill(context, folder, disaster, new Random(round + 1))
      return restoreAndCompare(folder, disaster, flowed)
    },
    finish: () => rm(folder, { recursive: true }),
  }
}

interface Flowed {
  source: BenchCluster['source']
  killedAt: number
  reports: FlowReport[]
  mark: Mark
}

/** What the bucket must have, since it was told to be there. */
interface Mark {
  /** Calls that were acknowledged before, in milliseconds since the epoch, are in the bucket... */
  at: number
  /** ...and so are these sequences of the domains. */
  sequences: number[]
}

async function flowAndKill(
  context: BenchContext,
  folder: string,
  disaster: Disaster,
  random: Random,
): Promise<Flowed> {
  const { nodes, extents, tailIntervalMs, flushIntervalMs } = disaster
  const intervalMs = tailIntervalMs ?? flushIntervalMs ?? 0
  const options: Partial<MetastoreOptions> = {
    ...{ tailIntervalMs, memtableBytesMax: MEMTABLE_BYTES_MAX },
    ...(flushIntervalMs !== undefined && { flushIntervalMs }),
  }
  const electionTimeoutMs = ELECTION_TIMEOUT_MS
  await using cluster = await BenchCluster.start(folder, { nodes, electionTimeoutMs, options })
  const ratePerSecond = disaster.ratePerSecond === null ? null : disaster.ratePerSecond / nodes
  // It flows for three intervals at most, and for as long as a mark takes.
  const commitsMax = Math.ceil(
    ((ratePerSecond ?? COMMITS_A_SECOND_MAX) * (intervalMs * 4 + 2000)) / 1000,
  )
  const inFlight = Math.floor(sized(context, IN_FLIGHT, 64) / nodes)
  await Promise.all(
    cluster.nodeIds.map((nodeId, index) => {
      const journalPath = journalOf(folder, index)
      const flow = { extents, ratePerSecond, inFlight, commitsMax, journalPath }
      return cluster.ask(nodeId, 'beginFlow', flow)
    }),
  )
  await sleep(intervalMs)
  const mark = await markOf(cluster, tailIntervalMs !== null)
  // At any moment between two shipments.
  await sleep(intervalMs + random.below(intervalMs))
  const reports = await cluster.askAll('flowReport', undefined)
  const killedAt = await cluster.killAll()
  return { source: cluster.source, killedAt, reports, mark }
}

function journalOf(folder: string, index: number): string {
  return join(folder, `acknowledged-${index}`)
}

/** Waits until all that was committed at the call has been shipped, or flushes it. */
async function markOf(cluster: BenchCluster, hasTail: boolean): Promise<Mark> {
  const at = Date.now()
  const sequences = await newest(cluster, ({ sequence }) => sequence)
  if (!hasTail) {
    await cluster.askAll('flush', undefined)
    return { at, sequences }
  }
  const endsAt = performance.now() + MARK_TIMEOUT_MS
  for (;;) {
    const shipped = await newest(cluster, view => view.shipped)
    if (sequences.every((sequence, domain) => shipped[domain] >= sequence)) return { at, sequences }
    if (performance.now() > endsAt) throw new Error(`nothing was shipped in ${MARK_TIMEOUT_MS} ms`)
    await sleep(LOOK_MS)
  }
}

/** By domain: of whichever node has come furthest. */
async function newest(
  cluster: BenchCluster,
  of: (view: { sequence: number; shipped: number }) => number,
): Promise<number[]> {
  const views = await cluster.askAll('partitions', undefined)
  return views[0].map((_, domain) => Math.max(...views.map(view => of(view[domain]))))
}

async function restoreAndCompare(
  folder: string,
  { nodes, extents, tailIntervalMs, flushIntervalMs }: Disaster,
  { source: { objectStore, clusterId }, killedAt, reports, mark }: Flowed,
): Promise<Round> {
  const startedAt = performance.now()
  await using restored = await Metastore.restore({
    ...{ dataDir: join(folder, 'restored'), objectStore, durability: 'os' },
    from: { clusterId, at: 'latest' },
  })
  const restoreMs = performance.now() - startedAt
  const answers = new Answers()
  for (const [domain, sequence] of mark.sequences.entries()) {
    const reached = restored.restoreReport?.domains[domain].sequence ?? 0
    answers.expect(Number(reached >= sequence), 1)
  }
  const lost: Acknowledgement[] = []
  for (let index = 0; index < nodes; index++) {
    const acknowledged = readAcknowledgements(journalOf(folder, index))
    const isThere = await restoredCommits(restored, extents, { index, of: nodes }, answers)
    for (const one of acknowledged) {
      if (isThere(one.call)) continue
      // What was in the bucket when the mark was taken is not lost, whenever the nodes died.
      answers.expect(Number(one.at >= mark.at), 1)
      lost.push(one)
    }
  }
  const lostMs = lost.reduce((most, { at }) => Math.max(most, killedAt - at), 0)
  const lagMs = Math.max(...reports.map(({ lagMsMax }) => lagMsMax))
  const toldMs = Math.max(...reports.map(told => told.recoveryPointMs + killedAt - told.at))
  // Both are whole milliseconds, cut off.
  if (tailIntervalMs !== null) answers.expect(Number(lostMs <= toldMs + 1), 1)
  const boundMs = (tailIntervalMs ?? flushIntervalMs ?? 0) + lagMs
  return {
    operations: reports.reduce((sum, { commits }) => sum + commits, 0),
    elapsedMs: Math.max(...reports.map(({ elapsedMs }) => elapsedMs)),
    answers,
    details: {
      ...{ 'ms lost': lostMs, 'commits lost': lost.length, 'ms that status told': toldMs },
      'restore ms': restoreMs,
    },
    maxima: {
      'ms lost, most': lostMs,
      'commits lost, most': lost.length,
      'lag ms, most': lagMs,
      'of interval and lag, most': lostMs / boundMs,
    },
  }
}

/** Tells of each call whether its commit is there: of a group of partitions, all up to one are. */
async function restoredCommits(
  restored: Metastore,
  extents: number,
  share: { index: number; of: number },
  answers: Answers,
): Promise<(call: number) => boolean> {
  const { groups } = flowCommitter(restored, extents, share)
  const counts: number[] = []
  for (const { partitions } of groups) {
    const offsets = await Promise.all(partitions.map(one => endOffset(restored, one)))
    // A commit is there for all of its partitions, or for none.
    for (const offset of offsets) answers.expect(offset, offsets[0])
    counts.push(offsets[0] / EXTENT_OFFSETS)
  }
  return call => Math.floor(call / groups.length) < counts[call % groups.length]
}

async function endOffset(restored: Metastore, topicPartition: TopicPartition): Promise<number> {
  try {
    return (await restored.getOffsets(topicPartition)).nextOffset
  } catch (error) {
    if (error instanceof MetastoreError && error.code === 'MISSING_PARTITION') return 0
    throw error
  }
}
