/**
 * Three nodes beside three members of etcd, on one machine, everything durable: writes, then
 * linearizable reads. Waymark is part of the broker's process, so each node's process makes a third
 * of its calls; etcd's are made by this process. Both share the machine's cores with their callers.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Answers } from '../answers.ts'
import type { BenchContext } from '../bench-context.ts'
import { BenchCluster } from '../cluster/bench-cluster.ts'
import { EtcdCluster } from '../cluster/etcd-cluster.ts'
import type { LoadKind } from '../cluster/node-requests.ts'
import { type Load, type LoadReport, roundOf, runLoad } from '../cluster/timed-load.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import type { Case } from '../measure.ts'
import { ETCD } from '../peers/peers.ts'
import { Random } from '../random.ts'
import { ROW_BYTES } from '../records.ts'

const IN_FLIGHT = [64, 1024] as const
const ELECTION_TIMEOUT_MS = 1000
/**
 * Rows, or extents, that are there to be read: no more than that, since etcd 3.4 reads from 100 000
 * rows at half the rate.
 */
const READ_ROWS_MAX = 10_000
/** A commit of ten extents is 21 rows: extents, partitions, and the object. */
const ROWS_A_COMMIT = 21
/** For a round at the highest rate that a node may have; what is left over is for the next one. */
const COMMITS_A_SECOND_MAX = 10_000
const ETCD_CHECKED_ROWS = 200
const ETCD_FILL_ROWS = 100
const ETCD_FILL_IN_FLIGHT = 16
/** Rows that are written, in etcd; those to be read are numbered from 0 on. */
const ETCD_PUT_ROWS_FROM: number = 2 ** 28

export async function runCluster(context: BenchContext): Promise<void> {
  if (context.wants('cluster-commit')) {
    await withClusters(context, 'commit', cases => context.measure(...cases.writes()))
  }
  if (context.wants('cluster-read')) {
    await withClusters(context, 'read', async cases => {
      await cases.fill()
      await context.measure(...cases.reads())
    })
  }
}

/** New ones: neither side shall read from what it has written before. */
async function withClusters(
  { isSmall, rows, directory, hasEtcd }: BenchContext,
  name: string,
  measure: (cases: ClusterCases) => Promise<unknown>,
): Promise<void> {
  const folder = join(directory, name)
  await mkdir(folder)
  await using cluster = await BenchCluster.start(join(folder, 'nodes'), {
    electionTimeoutMs: ELECTION_TIMEOUT_MS,
  })
  await using etcd = hasEtcd ? await EtcdCluster.start(join(folder, 'etcd')) : undefined
  const durationMs = isSmall ? 50 : 2000
  await measure(new ClusterCases(cluster, etcd, durationMs, Math.min(rows, READ_ROWS_MAX)))
}

class ClusterCases {
  readonly #cluster: BenchCluster
  readonly #etcd: EtcdCluster | undefined
  readonly #durationMs: number
  readonly #readRows: number
  readonly #random = new Random(1)
  #etcdRow = ETCD_PUT_ROWS_FROM

  constructor(
    cluster: BenchCluster,
    etcd: EtcdCluster | undefined,
    durationMs: number,
    readRows: number,
  ) {
    this.#cluster = cluster
    this.#etcd = etcd
    this.#durationMs = durationMs
    this.#readRows = readRows
  }

  writes(): Case[] {
    return [
      ...IN_FLIGHT.map(inFlight => this.#own('commits', 'addObjects, 10 extents', inFlight)),
      ...IN_FLIGHT.map(inFlight => this.#own('puts', 'records().put', inFlight)),
      ...IN_FLIGHT.flatMap(inFlight => this.#etcdPuts('put', inFlight, 1)),
      // With 1024 in flight they are no more a second, and some take longer than etcd waits.
      ...this.#etcdPuts(`txn of ${ROWS_A_COMMIT} puts`, IN_FLIGHT[0], ROWS_A_COMMIT),
    ]
  }

  reads(): Case[] {
    return [
      ...IN_FLIGHT.map(inFlight => this.#own('lookups', 'findByOffset', inFlight)),
      ...IN_FLIGHT.map(inFlight => this.#own('gets', 'records().get', inFlight)),
      ...IN_FLIGHT.flatMap(inFlight => this.#etcdGets(inFlight)),
    ]
  }

  /** What reads() reads. */
  async fill(): Promise<void> {
    const rows = this.#readRows
    await this.#cluster.askAll('fill', { kind: 'records', rows })
    await this.#cluster.askAll('fill', { kind: 'extents', rows })
    const etcd = this.#etcd
    if (etcd === undefined) return
    const batches = Math.ceil(rows / ETCD_FILL_ROWS)
    await callInFlight(batches, ETCD_FILL_IN_FLIGHT, new Latencies(), i =>
      etcd.putTogether(i, i * ETCD_FILL_ROWS, ETCD_FILL_ROWS),
    )
  }

  #own(kind: LoadKind, call: string, inFlight: number): Case {
    const { nodeIds } = this.#cluster
    const load = { kind, durationMs: this.#durationMs, inFlight: 0 }
    const isRead = kind === 'lookups' || kind === 'gets'
    return {
      workload: isRead ? 'cluster-read' : 'cluster-commit',
      variant: `${call}, ${inFlight} in flight`,
      unit: kind,
      ...(kind === 'puts' && { operationBytes: ROW_BYTES }),
      prepare: async () => {
        if (kind !== 'commits') return
        const commits = Math.ceil((COMMITS_A_SECOND_MAX * this.#durationMs) / 1000) + inFlight
        await this.#cluster.askAll('preregister', { commits })
      },
      run: async () => {
        const reports = await Promise.all(
          nodeIds.map((nodeId, i) => {
            const share = Math.floor((inFlight + i) / nodeIds.length)
            return this.#cluster.ask(nodeId, 'load', { ...load, inFlight: share })
          }),
        )
        return roundOf(reports)
      },
    }
  }

  #etcdPuts(call: string, inFlight: number, rows: number): Case[] {
    return this.#etcdCase('cluster-commit', call, inFlight, async (etcd, load) => {
      const answers = new Answers()
      const firstRow = this.#etcdRow
      const report = await loadEtcd(etcd, load, answers, i => {
        const row = firstRow + i * rows
        return rows === 1 ? etcd.put(i, row) : etcd.putTogether(i, row, rows)
      })
      this.#etcdRow += report.calls * rows
      await etcd.checkRows(firstRow, this.#etcdRow, ETCD_CHECKED_ROWS, answers)
      return { ...report, checked: answers.checked, hash: answers.hash }
    })
  }

  #etcdGets(inFlight: number): Case[] {
    const call = 'range of one key, linearizable'
    return this.#etcdCase('cluster-read', call, inFlight, (etcd, load) => {
      const answers = new Answers()
      return loadEtcd(etcd, load, answers, i =>
        etcd.checkRow(i, this.#random.below(this.#readRows), answers),
      )
    })
  }

  /** None when there is no etcd. */
  #etcdCase(
    workload: string,
    call: string,
    inFlight: number,
    run: (etcd: EtcdCluster, load: Load) => Promise<LoadReport>,
  ): Case[] {
    const etcd = this.#etcd
    if (etcd === undefined) return []
    const load = { inFlight, durationMs: this.#durationMs }
    return [
      {
        ...{ workload, store: ETCD, variant: `${call}, ${inFlight} in flight`, unit: 'calls' },
        run: async () => {
          const before = etcd.refusals
          const round = roundOf([await run(etcd, load)])
          return { ...round, maxima: { 'refused calls, most': etcd.refusals - before } }
        },
      },
    ]
  }
}

/** The members' work counts besides that of their callers, as it does for nodes. */
async function loadEtcd(
  etcd: EtcdCluster,
  load: Load,
  answers: Answers,
  call: (i: number) => Promise<void>,
): Promise<LoadReport> {
  const before = etcd.cpuUs()
  const report = await runLoad(load, answers, call)
  return { ...report, cpuUs: report.cpuUs + etcd.cpuUs() - before }
}
