/**
 * A whole cluster in virtual time, decided by its seed: storms of faults while clients work, and
 * between them calms, in which every group must make progress. Invariants hold after every step,
 * and the clients' history is linearizable.
 */
import assert from 'node:assert/strict'
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import type { Snapshot } from '../../src/main/raft/entry.ts'
import type { Message } from '../../src/main/raft/message.ts'
import { assertLinearizable } from '../linearizability/checker.ts'
import { keyValue } from '../linearizability/key-value.ts'
import { MemoryStorage } from '../raft/memory-storage.ts'
import { Clients } from './clients.ts'
import { Dice } from './dice.ts'
import { Disk } from './disk.ts'
import { EventQueue } from './event-queue.ts'
import { SimulationFailure } from './failure.ts'
import { Invariants } from './invariants.ts'
import type { Command } from './machine.ts'
import { Nemesis } from './nemesis.ts'
import { type Link, Network } from './network.ts'
import { SimNode } from './node.ts'
import { type ClusterSettings, drawSettings } from './settings.ts'
import { NO_TRACE, type Trace, Transcript } from './trace.ts'

const STORMS = 3
/** In election timeouts. */
const STORM_TIMEOUTS = 20
const CALM_TIMEOUTS_MAX = 60
/** Without pre-votes: who was removed and does not know disturbs elections (dissertation 4.2.3). */
const DISTURBED_CALM_TIMEOUTS_MAX = 300
const NO_DATA = new Uint8Array(0)

/** What a run came to; of runs that never did a thing nothing is shown. */
export interface Outcome {
  readonly elections: number
  readonly committed: number
  readonly changes: number
  readonly snapshots: number
  readonly answered: number
  readonly reads: number
  readonly messages: number
  readonly timeMs: number
}

/**
 * Runs a seed. One that fails is run again, to have its transcript; it must fail in the same way.
 * @param changed settings that shall not be those of the seed
 * @throws SimulationFailure
 */
export function simulate(seed: number, changed: Partial<ClusterSettings> = {}): Outcome {
  const first = failureOf(() => new Simulation(seed, changed, false).run())
  if (!(first instanceof Error)) return first
  const again = new Simulation(seed, changed, true)
  const second = failureOf(() => again.run())
  const isSame = second instanceof Error && second.message === first.message
  const cause = isSame ? first : new Error('not deterministic: it went otherwise the second time')
  throw new SimulationFailure(seed, cause, again.transcript.lines)
}

function failureOf(run: () => Outcome): Outcome | Error {
  try {
    return run()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

class Simulation {
  readonly transcript: Transcript
  readonly #queue = new EventQueue()
  readonly #settings: ClusterSettings
  readonly #network: Network<Link & { group: number; message: Message }>
  readonly #nodes: readonly SimNode[]
  readonly #invariants: readonly Invariants[]
  readonly #clients: Clients
  readonly #nemesis: Nemesis
  readonly #trace: Trace
  #probes = 0

  constructor(seed: number, changed: Partial<ClusterSettings>, keepsTranscript: boolean) {
    const dice = new Dice(seed)
    const queue = this.#queue
    const settings = { ...drawSettings(dice), ...changed }
    this.transcript = new Transcript(() => queue.nowMs)
    const trace = keepsTranscript ? this.transcript.trace : NO_TRACE
    trace(() => JSON.stringify(settings))
    this.#settings = settings
    this.#trace = trace
    this.#network = new Network(queue, dice.fork(), ({ group, message }) => {
      trace(() => `${message.from} > ${message.to}: group ${group} ${describe(message)}`)
      const arrived = settings.carry?.(message) ?? message
      this.#nodes.at(message.to - 1)?.receive(group, arrived)
    })
    const start = startOf(settings)
    this.#invariants = Array.from(
      { length: settings.groups },
      (_, group) => new Invariants(node => this.#nodes[node - 1].disk.durable(group), start),
    )
    this.#nodes = Array.from({ length: settings.voters + settings.spares }, (_, i) => {
      const isMember = i < settings.voters
      const logs = this.#invariants.map(() => new MemoryStorage(isMember ? start : undefined))
      const disk = new Disk(queue, dice.fork(), settings, logs)
      const send = (group: number, message: Message): void => {
        const { from, to } = message
        this.#network.send({ from, to, group, message })
      }
      const onApplied = (command: Command): void => this.#clients.applied(command)
      const shared = { settings, queue, trace, disk, send, onApplied }
      const invariants = this.#invariants
      return new SimNode({ ...shared, invariants, id: i + 1, dice: dice.fork() })
    })
    const world = { settings, queue, trace, nodes: this.#nodes }
    this.#clients = new Clients({ ...world, dice: dice.fork() })
    this.#nemesis = new Nemesis({ ...world, dice: dice.fork(), network: this.#network })
  }

  run(): Outcome {
    for (const node of this.#nodes) node.start()
    this.#expectProgress()
    for (let storm = 0; storm < STORMS; storm++) {
      this.#clients.goOn()
      this.#nemesis.start()
      this.#pass(STORM_TIMEOUTS)
      this.#nemesis.calm()
      this.#clients.pause()
      this.#expectProgress()
    }
    const { operations, answered, readsAnswered } = this.#clients
    assertLinearizable(keyValue, operations)
    const sum = (of: (group: Invariants) => number): number =>
      this.#invariants.reduce((total, group) => total + of(group), 0)
    return {
      elections: sum(({ elections }) => elections),
      committed: sum(({ committedIndex }) => committedIndex),
      changes: sum(({ changes }) => changes),
      snapshots: sum(({ installs }) => installs),
      answered,
      reads: readsAnswered,
      messages: this.#network.sent,
      timeMs: this.#queue.nowMs,
    }
  }

  #pass(timeouts: number): void {
    const { tickMs, raft } = this.#settings
    this.#queue.runUntil(this.#queue.nowMs + timeouts * tickMs * raft.electionTicks)
  }

  /** Faults have stopped: each group commits something new, and all its members have all of it. */
  #expectProgress(): void {
    this.#trace(() => '-- calm')
    const before = this.#invariants.map(({ committedIndex }) => committedIndex)
    let stuck: number[] = []
    const { preVote } = this.#settings.raft
    const timeoutsMax = preVote ? CALM_TIMEOUTS_MAX : DISTURBED_CALM_TIMEOUTS_MAX
    for (let timeouts = 0; timeouts < timeoutsMax; timeouts++) {
      for (const group of before.keys()) this.#probe(group)
      this.#pass(1)
      stuck = [...before.keys()].filter(group => !this.#isSettled(group, before[group]))
      if (stuck.length === 0) return
    }
    assert.fail(`no progress in calm, in groups ${stuck}`)
  }

  #probe(group: number): void {
    const leader = this.#leaderOf(group)
    if (leader === undefined) return
    const { voters } = leader.replica(group).core.status().configuration
    if (voters.includes(leader.id)) {
      const id = --this.#probes
      leader.write(group, { id, input: { do: 'put', key: 'probe', value: `${id}` } }, () => {})
    } else {
      // Without stepDownOnRemoval it leads until somebody tells it not to.
      leader.ask(group, ({ core }) => core.transferLeadership(voters[0]))
    }
  }

  #isSettled(group: number, committedBefore: number): boolean {
    const leader = this.#leaderOf(group)
    if (leader === undefined) return false
    const { commit, configuration } = leader.replica(group).core.status()
    const { voters, votersOutgoing, learners } = configuration
    const isDone = (node: number): boolean =>
      this.#nodes[node - 1].replica(group).machine.index >= commit
    return commit > committedBefore && [...voters, ...votersOutgoing, ...learners].every(isDone)
  }

  /** Who leads in the newest term. */
  #leaderOf(group: number): SimNode | undefined {
    const leaders = this.#nodes.filter(node => node.replica(group).core.role === 'leader')
    const termOf = (node: SimNode): number => node.replica(group).core.term
    return leaders.sort((a, b) => termOf(b) - termOf(a)).at(0)
  }
}

/** All members begin after it; a group of one node has a configuration like any other. */
function startOf({ voters }: ClusterSettings): Snapshot {
  const ids = Array.from({ length: voters }, (_, i) => i + 1)
  const configuration = { ...EMPTY_CONF_STATE, voters: ids }
  return { index: 1, term: 1, configuration, data: NO_DATA }
}

function describe(message: Message): string {
  const { type, term, logTerm, index, entries, commit, reject, round } = message
  const what = entries.length > 0 ? ` entries ${entries[0].index}..${entries.at(-1)?.index}` : ''
  const refusal = reject ? ` rejected, hint ${message.rejectHint}` : ''
  const rest = `at ${index}/${logTerm} commit ${commit} round ${round}`
  return `${type} term ${term} ${rest}${what}${refusal}`
}
