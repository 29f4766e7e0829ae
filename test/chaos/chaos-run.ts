/**
 * One run: a cluster of processes, clients, and a nemesis; then peace, and everything that was
 * acknowledged must be there, everywhere the same. The seed decides what is tried; processes and
 * networks decide what comes of it, so a run does not repeat exactly.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Router } from '../../src/main/router.ts'
import { assertLinearizable } from '../linearizability/checker.ts'
import { keyValue } from '../linearizability/key-value.ts'
import { Dice } from '../simulation/dice.ts'
import { ChaosCluster, type ClusterSettings } from './chaos-cluster.ts'
import type { ChaosContext } from './chaos-context.ts'
import type { ChaosNode } from './chaos-node.ts'
import { Nemesis } from './nemesis.ts'
import { RegisterClients } from './register-clients.ts'
import { StaleReaders } from './stale-readers.ts'
import { StreamClient } from './stream-client.ts'

export interface ChaosSettings extends ClusterSettings {
  readonly seed: number
  readonly durationMs: number
  /** Ends the run early, as failed. */
  readonly signal?: AbortSignal
  /** Gets what happens, as it happens. */
  readonly say: (line: string) => void
}

export interface ChaosResult {
  /** Empty: all was well. */
  readonly problems: readonly string[]
  /** With problems: where schedule, histories and logs are kept. */
  readonly keptIn: string | undefined
  readonly figures: Readonly<Record<string, number>>
}

const TOPIC_ID = '0b8a1c9e-52a1-4d0c-9a3e-2f6f0a4f7c11'
const PLACES = 6
const STREAMS = 3
const CONVERGE_MS_MAX = 60_000
/** What was begun must end by then, once nothing hinders it. */
const STOP_MS_MAX = 60_000

export async function runChaos(settings: ChaosSettings): Promise<ChaosResult> {
  const { seed, say } = settings
  const directory = mkdtempSync(join(tmpdir(), `waymark-chaos-${seed}-`))
  const startedAt = performance.now()
  const elapsedMs = (): number => performance.now() - startedAt
  const problems: string[] = []
  const schedule: string[] = []
  const note = (what: string): void => {
    const line = `${(elapsedMs() / 1000).toFixed(3).padStart(8)} ${what}`
    schedule.push(line)
    say(line)
  }
  const problem = (what: string): void => {
    problems.push(what)
    note(`PROBLEM ${what}`)
  }
  let cluster: ChaosCluster | undefined
  let run: Run | undefined
  try {
    cluster = await ChaosCluster.start(settings, directory, problem)
    await cluster.converged(CONVERGE_MS_MAX)
    const places = Array.from({ length: PLACES }, (_, partition) => ({
      topicId: TOPIC_ID,
      partition,
    }))
    run = new Run({ cluster, places, dice: new Dice(seed), problem, note, elapsedMs })
    await run.fight(settings.durationMs, settings.signal)
    await run.prove()
  } catch (error) {
    problem(error instanceof Error ? `${error.stack}` : String(error))
  } finally {
    await cluster?.end()
  }
  const keptIn =
    problems.length === 0 ? undefined : keep(directory, settings, { schedule, problems, run })
  rmSync(directory, { recursive: true, force: true })
  return { problems, keptIn, figures: run?.figures ?? {} }
}

class Run {
  readonly #context: ChaosContext
  readonly #registers: RegisterClients
  readonly #streams: StreamClient[]
  readonly #readers: StaleReaders
  readonly #nemesis: Nemesis

  constructor(context: ChaosContext) {
    this.#context = context
    this.#registers = new RegisterClients(context)
    this.#streams = context.places.slice(0, STREAMS).map(place => new StreamClient(context, place))
    this.#readers = new StaleReaders(context)
    this.#nemesis = new Nemesis(context)
  }

  get history(): RegisterClients['history'] {
    return this.#registers.history
  }

  get acknowledged(): StreamClient['acknowledged'][] {
    return this.#streams.map(({ acknowledged }) => acknowledged)
  }

  get figures(): Record<string, number> {
    return {
      faults: this.#nemesis.count,
      ...Object.fromEntries(this.#registers.counts),
      appends: this.#streams.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0),
      repeats: this.#streams.reduce((sum, { repeats }) => sum + repeats, 0),
      staleReads: this.#readers.reads,
    }
  }

  async fight(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
    await sleep(durationMs, undefined, { ...(signal && { signal }) })
    this.#context.note('the end of all faults')
    await this.#nemesis.stop()
    await this.#context.cluster.heal()
    this.#context.note('healed')
    const clients = [this.#registers, this.#readers, ...this.#streams]
    await within(STOP_MS_MAX, 'a client', Promise.all(clients.map(client => client.stop())))
  }

  async prove(): Promise<void> {
    const { cluster, note, problem } = this.#context
    const replicas = await cluster.converged(CONVERGE_MS_MAX)
    note('all replicas are at the same sequence')
    await this.#registers.readAll()
    for (const stream of this.#streams) await stream.check()
    await this.#compare(replicas)
    note('checking the history')
    try {
      assertLinearizable(keyValue, this.#registers.history.operations)
    } catch (error) {
      problem(String(error))
    }
    await Promise.all(cluster.nodes.map(node => node.close()))
  }

  /** Every replica has the same rows. @param replicas of each metastore partition */
  async #compare(replicas: readonly ChaosNode[][]): Promise<void> {
    const { places, problem } = this.#context
    const router = new Router(replicas.length)
    for (const place of places) {
      const nodes = replicas[router.route(place, 'place').domain]
      const hashes = await Promise.all(nodes.map(node => node.ask('hash', { place })))
      const is = nodes.map(({ nodeId }, i) => `${nodeId}: ${hashes[i].slice(0, 8)}`)
      if (new Set(hashes).size === 1) continue
      problem(`replicas of partition ${place.partition} differ: ${is.join(', ')}`)
    }
  }
}

function keep(
  directory: string,
  { seed, nodes, replicas, durationMs }: ChaosSettings,
  { schedule, problems, run }: { schedule: string[]; problems: string[]; run: Run | undefined },
): string {
  const kept = join(tmpdir(), `waymark-chaos-failed-${seed}-${process.pid}`)
  mkdirSync(kept, { recursive: true })
  const head = `seed ${seed}, ${nodes} nodes, ${replicas} replicas, ${durationMs} ms`
  writeFileSync(join(kept, 'schedule.txt'), [head, ...schedule, ''].join('\n'))
  writeFileSync(join(kept, 'problems.txt'), [...problems, ''].join('\n'))
  const history = run?.history.operations.map(operation => JSON.stringify(operation)) ?? []
  writeFileSync(join(kept, 'history.jsonl'), [...history, ''].join('\n'))
  writeFileSync(join(kept, 'appends.json'), JSON.stringify(run?.acknowledged ?? []))
  for (let nodeId = 1; nodeId <= nodes; nodeId++) {
    const log = `node-${nodeId}.log`
    cpSync(join(directory, log), join(kept, log), { force: true })
  }
  return kept
}

/** @throws when it takes longer */
async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = sleep(ms, undefined, { signal: timer.signal }).then((): never => {
    throw new Error(`${what} is not done after ${ms} ms`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}
