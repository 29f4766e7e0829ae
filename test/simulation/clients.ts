/**
 * Clients: each asks one thing after the other, of any node, and gives up after a while; what it has
 * given up may still happen. What they asked, what reads were told, and when the first machine had
 * carried out a write, is the history to be judged: from then on everybody must see the write, also
 * if its client was never told.
 */
import { History, type Operation } from '../linearizability/history.ts'
import type { KeyValueInput, KeyValueOutput } from '../linearizability/key-value.ts'
import type { Dice } from './dice.ts'
import type { EventQueue } from './event-queue.ts'
import type { Command } from './machine.ts'
import type { SimNode } from './node.ts'
import type { ClusterSettings } from './settings.ts'
import type { Trace } from './trace.ts'

const PATIENCE_MS = 800
const LATENCY_MS = 4

export interface ClientsOptions {
  readonly settings: ClusterSettings
  readonly queue: EventQueue
  readonly dice: Dice
  readonly nodes: readonly SimNode[]
  readonly trace: Trace
}

export class Clients {
  readonly history: History<KeyValueInput, KeyValueOutput> = new History()
  readonly #options: ClientsOptions
  /** Writes that no machine has carried out, by value; no two are the same. */
  readonly #unapplied = new Map<string, Operation<KeyValueInput, KeyValueOutput>>()
  #isActive = false
  #asked = 0
  answered = 0
  readsAnswered = 0

  constructor(options: ClientsOptions) {
    this.#options = options
    for (let client = 1; client <= options.settings.clients; client++) this.#think(client)
  }

  goOn(): void {
    this.#isActive = true
  }

  pause(): void {
    this.#isActive = false
  }

  /** Operations that count: not a read that was never answered, nor a write that never happened. */
  get operations(): Operation<KeyValueInput, KeyValueOutput>[] {
    return this.history.operations.filter(({ output }) => output !== undefined)
  }

  /** A state machine has carried out the command. */
  applied({ input }: Command): void {
    if (input.do === 'get') return
    const operation = this.#unapplied.get(input.value)
    if (operation === undefined) return
    this.#unapplied.delete(input.value)
    this.history.return(operation, null)
  }

  #think(client: number): void {
    const { queue, dice } = this.#options
    queue.after(dice.between(0, 120), () => {
      if (this.#isActive) this.#ask(client)
      else this.#think(client)
    })
  }

  #ask(client: number): void {
    const { settings, queue, dice, trace } = this.#options
    const group = dice.below(settings.groups)
    const isRead = dice.chance(settings.readsPercent)
    const node = this.#target(group)
    const key = `${group}/${dice.below(settings.keys)}`
    const id = ++this.#asked
    const input: KeyValueInput = isRead
      ? { do: 'get', key }
      : { do: dice.chance(70) ? 'put' : 'append', key, value: `${id},` }
    const operation = this.history.call(client, input)
    if (input.do !== 'get') this.#unapplied.set(input.value, operation)
    trace(() => `client ${client} asks node ${node.id}: ${JSON.stringify(input)} (${id})`)
    let isOver = false
    const end = (what: string, effect: () => void): void => {
      if (isOver) return
      isOver = true
      trace(() => `client ${client}: (${id}) ${what}`)
      effect()
      this.#think(client)
    }
    const answer = (output: KeyValueOutput): void => {
      queue.after(dice.between(0.1, LATENCY_MS), () =>
        end(`answered ${JSON.stringify(output)}`, () => {
          this.answered++
          if (!isRead) return
          this.readsAnswered++
          this.history.return(operation, output)
        }),
      )
    }
    const refused = (): void =>
      end('refused', () => {
        if (input.do !== 'get') this.#unapplied.delete(input.value)
        this.history.refuse(operation)
      })
    queue.after(PATIENCE_MS, () => end('given up', () => {}))
    queue.after(dice.between(0.1, LATENCY_MS), () => {
      if (isRead) node.read(group, key, answer)
      else node.write(group, { id, input }, isApplied => (isApplied ? answer(null) : refused()))
    })
  }

  /** Half of the time any node; else one that takes itself for the leader, right or wrong. */
  #target(group: number): SimNode {
    const { dice, nodes } = this.#options
    const leaders = nodes.filter(node => node.isUp && node.replica(group).core.role === 'leader')
    return leaders.length > 0 && dice.chance(70) ? dice.pick(leaders) : dice.pick(nodes)
  }
}
