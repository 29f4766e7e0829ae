/**
 * A node is killed that leads metastore partitions: how long until each of them takes a write again,
 * through another node. With few rows that nobody has flushed and with many: it must not depend on
 * them.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { BenchCluster } from '../cluster/bench-cluster.ts'
import { Latencies } from '../latencies.ts'
import type { Round } from '../measure.ts'

const ELECTION_TIMEOUT_MS = 1000
/** A part of --rows, for comparison. */
const FEW = 0.01
/** Writers are at work for so long before the node is killed. */
const WRITING_MS = 300

export async function runFailover(context: BenchContext): Promise<void> {
  const { rows } = context
  for (const count of context.isSmall ? [rows] : [rows * FEW, rows]) await failover(context, count)
}

async function failover(context: BenchContext, rows: number): Promise<void> {
  const directory = join(context.directory, `${rows}-rows`)
  await using cluster = await BenchCluster.start(directory, {
    electionTimeoutMs: ELECTION_TIMEOUT_MS,
  })
  await cluster.askAll('fill', { kind: 'records', rows })
  await context.measure({
    workload: 'failover',
    variant: `${rows} unflushed rows, one of three nodes killed`,
    unit: 'failovers',
    run: round => killOne(cluster, round, sized(context, WRITING_MS, 50)),
  })
}

async function killOne(cluster: BenchCluster, round: number, writingMs: number): Promise<Round> {
  const leaders = await cluster.spreadLeaders()
  const victim = cluster.nodeIds[round % cluster.nodeIds.length]
  const [survivor, other] = cluster.nodeIds.filter(nodeId => nodeId !== victim)
  const partitions = leaders.flatMap((leader, domain) => (leader === victim ? [domain] : []))
  await cluster.ask(survivor, 'beginWriting', { partitions })
  await sleep(writingMs)
  const killedAt = cluster.kill(victim)
  const report = await cluster.ask(survivor, 'endWriting', { since: killedAt })
  const elapsedMs = report.acknowledgedAt.map(at => at - killedAt)
  const answers = Answers.from(report.checked, report.hash)
  for (const nodeId of [survivor, other]) {
    answers.expect(await cluster.ask(nodeId, 'flushedBytes', undefined), 0)
  }
  const openedAt = performance.now()
  await cluster.open(victim)
  await cluster.settled()
  const backMs = performance.now() - openedAt
  const latencies = new Latencies()
  for (const ms of elapsedMs) latencies.record(ms)
  const slowestMs = Math.max(...elapsedMs)
  return {
    ...{ operations: 1, elapsedMs: slowestMs, answers, latencies },
    details: {
      'ms to the first write, median': latencies.percentilesUs([0.5])[0] / 1000,
      'of the slowest partition': slowestMs,
      'ms until the killed node is back with all rows': backMs,
      'partitions it led': partitions.length,
    },
    maxima: { 'election timeouts, most': slowestMs / ELECTION_TIMEOUT_MS },
  }
}
