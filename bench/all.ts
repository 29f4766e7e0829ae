/** Runs the benches and prints what they measure: docs/benchmarks.md. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BenchContext } from './bench-context.ts'
import { directoryBucket, S3Bucket } from './buckets.ts'
import { htmlReport } from './html-report.ts'
import { type Figure, measure } from './measure.ts'
import {
  type BenchOptions,
  parseOptions,
  S3_WORKLOADS,
  USAGE,
  type WorkloadName,
} from './options.ts'
import { ETCD, loadPeers, type Peers } from './peers/peers.ts'
import { figureLine, HEADING, setUpBlock, setUpOf } from './report.ts'
import { runBucket } from './workloads/bucket.ts'
import { runBucketCommits } from './workloads/bucket-commits.ts'
import { runCluster } from './workloads/cluster.ts'
import { runCommits } from './workloads/commits.ts'
import { runDisaster } from './workloads/disaster.ts'
import { runFailover } from './workloads/failover.ts'
import { runFlush } from './workloads/flush.ts'
import { runLoad } from './workloads/load.ts'
import { runLookupCold } from './workloads/lookup-cold.ts'
import { runMemtable } from './workloads/memtable.ts'
import { runNetwork } from './workloads/network.ts'
import { runRaft } from './workloads/raft.ts'
import { runReads } from './workloads/reads.ts'
import { runReplica } from './workloads/replica.ts'
import { runRestore } from './workloads/restore.ts'
import { runTail } from './workloads/tail.ts'

interface Bench {
  workloads: readonly WorkloadName[]
  run: (context: BenchContext) => Promise<void>
}

/** Workloads that share what is prepared for them are one bench. */
const BENCHES: Readonly<Record<string, Bench>> = {
  reads: {
    workloads: ['lookup-memtable', 'lookup-table', 'get', 'miss', 'scan10', 'scan100'],
    run: runReads,
  },
  cold: { workloads: ['lookup-cold'], run: runLookupCold },
  replica: { workloads: ['replica-cold-start'], run: runReplica },
  load: { workloads: ['load'], run: runLoad },
  flush: { workloads: ['flush', 'compact', 'recover'], run: runFlush },
  commits: { workloads: ['put', 'commit'], run: runCommits },
  tail: { workloads: ['tail'], run: runTail },
  memtable: { workloads: ['memtable'], run: runMemtable },
  raft: { workloads: ['raft-commit', 'raft-tick'], run: runRaft },
  cluster: { workloads: ['cluster-commit', 'cluster-read'], run: runCluster },
  failover: { workloads: ['failover'], run: runFailover },
  disaster: { workloads: ['disaster'], run: runDisaster },
  restore: { workloads: ['restore'], run: runRestore },
  bucket: { workloads: ['bucket'], run: runBucket },
  'bucket-commits': { workloads: ['bucket-commits'], run: runBucketCommits },
  network: { workloads: ['network'], run: runNetwork },
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Undefined when it is not needed, or not there: then it is among the missing peers. */
async function s3Bucket({ workloads }: BenchOptions, peers: Peers): Promise<S3Bucket | undefined> {
  if (!S3_WORKLOADS.some(workload => workloads.includes(workload))) return undefined
  try {
    const bucket = await S3Bucket.create()
    peers.servers.push({ name: 'S3', version: bucket.endpoint, settings: 'defaults of the SDK' })
    return bucket
  } catch (error) {
    peers.missing.push({ name: 'S3', reason: String(error) })
    return undefined
  }
}

async function runBenches(options: BenchOptions, folder: string): Promise<void> {
  const { workloads, rounds, rows, isSmall, jsonPath, htmlPath } = options
  const peers = loadPeers(options.peers)
  await using s3 = await s3Bucket(options, peers)
  const setUp = setUpOf(options, peers)
  const figures: Figure[] = []
  say(setUpBlock(setUp))
  const wants = (workload: WorkloadName): boolean => workloads.includes(workload)
  for (const [bench, { workloads: own, run }] of Object.entries(BENCHES)) {
    if (!own.some(wants)) continue
    const directory = join(folder, bench)
    await mkdir(directory)
    say(HEADING)
    await run({
      ...{ isSmall, rounds, rows, directory, wants, peers: peers.present },
      buckets: [directoryBucket(directory), ...(s3 === undefined ? [] : [s3.of(bench)])],
      hasEtcd: peers.servers.some(({ name }) => name === ETCD),
      measure: async (...cases) => {
        const measured = await measure(bench, rounds, cases)
        figures.push(...measured)
        for (const figure of measured) say(figureLine(figure))
        return measured
      },
    })
    say('')
    await rm(directory, { recursive: true })
  }
  if (jsonPath !== undefined) {
    await writeFile(jsonPath, `${JSON.stringify({ setUp, figures }, null, 2)}\n`)
  }
  if (htmlPath !== undefined) await writeFile(htmlPath, htmlReport(setUp, figures))
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) {
    say(USAGE)
    return
  }
  await mkdir(options.directory, { recursive: true })
  const folder = await mkdtemp(join(options.directory, 'waymark-bench-'))
  try {
    await runBenches(options, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  // Open metastores and threads would keep the process alive.
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}
