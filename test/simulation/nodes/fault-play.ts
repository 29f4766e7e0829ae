/**
 * A cluster whose bucket has bad weather for a while: what holds meanwhile and afterwards, and what
 * the bucket has in the end.
 */
import assert from 'node:assert/strict'
import { clusterKey } from '../../../src/codec/bucket-layout.ts'
import { type ClusterFile, encodeCluster } from '../../../src/codec/cluster-file.ts'
import type { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import { L0_SLOW_TABLES } from '../../../src/main/storage/write-throttle.ts'
import { FAIR_BUCKET } from './bucket.ts'
import { copyOf, keysIn, namedKeys } from './bucket-inventory.ts'
import type { WeatherKind } from './bucket-weather.ts'
import { contentsOf } from './contents.ts'
import type { NodeSettings } from './settings.ts'
import { type Play, type Stage, simulateNodes } from './simulation.ts'

/** Clients work at the beginning of the weather, so long in sum that memtables and queues fill. */
const FILL_MS = 12_000
/** Then in bursts, so that an hour does not take one. */
const BURST_MS = 800
const BURSTS = 5
const FAIR_MS = 2000
const SHIP_MS_MAX = 90_000
const LOOK_MS = 300
const GARBAGE_DELAY_MS = 2000
/** More than clocks are apart. */
const CLOCKS_MS = 15 * 60_000

export const FAULT_SETTINGS: Partial<NodeSettings> = {
  ...{ nodes: 3, replicationFactor: 3, domains: 2, changesMembers: false, keys: 3 },
  ...{ memtableBytesMax: 8192, logBytesMax: 1_000_000, valueBytesMax: 2000, readsPercent: 30 },
  ...{ flushIntervalMs: 60_000, tailIntervalMs: 1000, garbageDelayMs: GARBAGE_DELAY_MS },
  ...{ segmentBytesMax: 65_536, clients: 4 },
}

export interface FaultRun {
  cluster: ClusterFile
  /** The bucket when all was caught up, with tail objects that no manifest covers. */
  caughtUp: MemoryObjectStore
  /** By domain: what the nodes showed then. */
  contents: string[]
  /** Of all of them, sequences that no manifest covered. */
  tailSequences: number
  /** In the weather. */
  writes: number
  reads: number
  refused: Record<string, number>
  tables: number
}

/** @throws SimulationFailure */
export async function runFaults(seed: number, kind: WeatherKind): Promise<FaultRun> {
  const run: Partial<FaultRun> = {}
  await simulateNodes(seed, { ...FAULT_SETTINGS, ...kind.settings }, playOf(kind, run))
  return run as FaultRun
}

function playOf(kind: WeatherKind, run: Partial<FaultRun>): Play {
  return async stage => {
    run.cluster = stage.cluster
    await begun(stage)
    stage.clients.goOn()
    await stage.pass(FAIR_MS)
    stage.clients.pause()
    await stage.expectCalm()
    await weather(stage, kind, run)
    await stage.expectCalm()
    await goOn(stage, run)
    await garbageGoes(stage)
  }
}

/** The bucket has the cluster, and every domain its leader. */
export async function begun(stage: Stage): Promise<void> {
  const { cluster, bucket, calm } = stage
  await bucket.put(clusterKey(cluster.clusterId), encodeCluster(cluster))
  await until(stage, () => calm.unsettled())
}

async function until(stage: Stage, why: () => string): Promise<void> {
  const endMs = stage.queue.nowMs + SHIP_MS_MAX
  for (;;) {
    const is = why()
    if (is === '') return
    assert.ok(stage.queue.nowMs < endMs, is)
    await stage.pass(LOOK_MS)
  }
}

/** Writes are acknowledged, up to the limits; reads are; and nobody else is elected. */
async function weather(stage: Stage, kind: WeatherKind, run: Partial<FaultRun>): Promise<void> {
  const { clients, nodes, calm } = stage
  const terms = calm.terms()
  const before = { writes: clients.writes, reads: clients.reads, unknown: clients.unknown }
  const refusedBefore = new Map(clients.refusedWrites)
  for (const { bucket } of nodes) bucket.weather = { ...kind.weather }
  await writeAll(stage)
  const work = async (forMs: number): Promise<void> => {
    const { reads, writes } = clients
    clients.goOn()
    await stage.pass(forMs)
    clients.pause()
    assert.ok(clients.reads > reads, 'reads go on')
    if (!kind.isDead) assert.ok(clients.writes > writes, 'writes go on')
    assert.deepEqual(calm.terms(), terms, 'terms while only the bucket was bad')
  }
  const pauseMs = (kind.lastsMs - FILL_MS) / BURSTS - BURST_MS
  await work(FILL_MS)
  for (let burst = 0; burst < BURSTS; burst++) {
    await stage.pass(pauseMs)
    await work(BURST_MS)
  }
  run.writes = clients.writes - before.writes
  run.reads = clients.reads - before.reads
  run.refused = {}
  for (const [code, count] of clients.refusedWrites) {
    run.refused[code] = count - (refusedBefore.get(code) ?? 0)
  }
  assert.equal(clients.unknown, before.unknown, 'writes of which nobody knows')
  for (const { bucket } of nodes) bucket.weather = { ...FAIR_BUCKET }
}

/** Every key once: nodes here have no disk for tables, and then have what is read in memory. */
async function writeAll(stage: Stage): Promise<void> {
  const { clients, calm, queue, settings } = stage
  let left = settings.domains * settings.keys
  for (let domain = 0; domain < settings.domains; domain++) {
    const node = calm.leaderOf(domain)?.node
    assert.ok(node !== undefined)
    for (let key = 0; key < settings.keys; key++) {
      const value = `w${queue.nowMs}-${domain}-${key}`
      const input = { do: 'put', key: `${domain}/${key}`, value } as const
      queue.after(0, () =>
        clients.call(0, node, input, isAnswered => {
          assert.ok(isAnswered, `${input.key} is written`)
          left--
        }),
      )
    }
  }
  await until(stage, () => (left === 0 ? '' : `${left} writes are not answered`))
}

/** Where compactions are so far behind that writes are slowed; empty when nowhere. */
function uncompacted({ calm, cluster }: Stage): string {
  for (const [number] of cluster.domains.entries()) {
    const tables = calm.leaderOf(number)?.open.domains[number].manifest?.tables ?? []
    const count = tables.filter(({ level }) => level === 0).length
    if (count >= L0_SLOW_TABLES) return `domain ${number} has ${count} tables of level 0`
  }
  return ''
}

/** Writes go on; soon manifests and tail have everything again. */
async function goOn(stage: Stage, run: Partial<FaultRun>): Promise<void> {
  const { clients, calm, bucket, cluster } = stage
  await until(stage, () => uncompacted(stage))
  const { writes } = clients
  const refused = clients.refusedWrites.get('OVERLOADED')
  stage.callersGoOn()
  await stage.pass(FAIR_MS)
  stage.callersPause()
  assert.ok(clients.writes > writes, 'writes go on')
  assert.equal(clients.refusedWrites.get('OVERLOADED'), refused, 'nothing is refused any more')
  await until(stage, () => calm.unsettled() || calm.unshipped())
  await calm.expectSame()
  run.caughtUp = await copyOf(bucket)
  run.contents = []
  run.tailSequences = 0
  for (const [number] of cluster.domains.entries()) {
    const handle = calm.leaderOf(number)?.open.domains[number]
    assert.ok(handle !== undefined)
    run.contents.push(`${handle.visibleSequence}: ${(await contentsOf(handle, bucket)).text}`)
    run.tailSequences += handle.visibleSequence - (handle.manifest?.lastSequence ?? 0)
  }
  run.tables = (await keysIn(bucket)).filter(key => key.endsWith('.sst')).length
}

/** With everything flushed, and the delay over, nothing is left but what is named. */
export async function garbageGoes(stage: Stage): Promise<void> {
  const { bucket, cluster, settings } = stage
  await stage.expectCalm()
  await stage.pass(settings.garbageDelayMs + CLOCKS_MS)
  let collected = 0
  let failure: unknown
  for (const [number] of cluster.domains.entries()) {
    const leader = stage.calm.leaderOf(number)
    assert.ok(leader !== undefined)
    const { host } = leader.node
    stage.queue.after(0, () =>
      host.run(() => {
        leader.open.atLeader('collectGarbage', number).then(
          () => collected++,
          (error: unknown) => {
            failure = error
          },
        )
      }),
    )
  }
  await until(stage, () => {
    if (failure !== undefined) throw failure
    return collected === cluster.domains.length ? '' : 'garbage is collected still'
  })
  assert.deepEqual(await keysIn(bucket), await namedKeys(bucket, cluster))
}
