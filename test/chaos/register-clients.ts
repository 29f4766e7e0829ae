/**
 * Clients that put and get values of a few keys, at any node. Values are unique, and what was asked
 * and answered is a history that must be linearizable. Keys change every few seconds, so that what
 * is never answered burdens the check of a few keys only.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { History, type Operation } from '../linearizability/history.ts'
import type { KeyValueInput, KeyValueOutput } from '../linearizability/key-value.ts'
import type { Dice } from '../simulation/dice.ts'
import { type ChaosContext, someNode } from './chaos-context.ts'
import type { ChaosNode, OperationError } from './chaos-node.ts'
import type { Place } from './node-messages.ts'

const CLIENTS = 8
const KEYS = 6
const KEYS_CHANGE_AFTER_MS = 4_000
const PAUSE_MS_MAX = 30
/** A write that was answered with these was certainly not done (docs/errors.md). */
const REFUSALS: ReadonlySet<string> = new Set(['UNAVAILABLE', 'OVERLOADED'])
/** ...and with these, nobody knows. */
const UNKNOWN: ReadonlySet<string> = new Set(['INDETERMINATE', 'CLOSED', 'LOST'])
const FINAL_READ_MS_MAX = 30_000

type Op = Operation<KeyValueInput, KeyValueOutput>

export class RegisterClients {
  readonly history: History<KeyValueInput, KeyValueOutput> = new History()
  readonly #context: ChaosContext
  readonly #clients: Promise<void>[] = []
  readonly #keys = new Set<string>()
  #isStopped = false
  #lastValue = 0
  /** By what they were answered with. */
  readonly counts: Map<string, number> = new Map()

  constructor(context: ChaosContext) {
    this.#context = context
    for (let client = 0; client < CLIENTS; client++) {
      this.#clients.push(this.#run(client, context.dice.fork()))
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#clients)
  }

  /** Reads every key once more; whatever was acknowledged must be there. */
  async readAll(): Promise<void> {
    const { cluster, dice, problem } = this.#context
    for (const key of this.#keys) {
      const operation = this.history.call(CLIENTS, { do: 'get', key })
      try {
        const ask = { place: this.#placeOf(key), key }
        const value = await dice.pick(cluster.nodes).ask('get', ask, FINAL_READ_MS_MAX)
        this.history.return(operation, value ?? '')
      } catch (error) {
        this.history.refuse(operation)
        problem(`after the end ${key} cannot be read: ${String(error)}`)
      }
    }
  }

  async #run(client: number, dice: Dice): Promise<void> {
    while (!this.#isStopped) {
      const node = someNode(this.#context, dice)
      if (node !== undefined) await this.#operate(client, node, dice)
      await sleep(dice.between(0, PAUSE_MS_MAX))
    }
  }

  async #operate(client: number, node: ChaosNode, dice: Dice): Promise<void> {
    const epoch = Math.floor(this.#context.elapsedMs() / KEYS_CHANGE_AFTER_MS)
    const key = `${epoch}-${dice.below(KEYS)}`
    this.#keys.add(key)
    const place = this.#placeOf(key)
    const isPut = dice.chance(50)
    const input: KeyValueInput = isPut
      ? { do: 'put', key, value: `${++this.#lastValue}` }
      : { do: 'get', key }
    const operation = this.history.call(client, input)
    try {
      const output =
        input.do === 'get'
          ? ((await node.ask('get', { place, key })) ?? '')
          : await node.ask('put', { place, key, value: input.value })
      this.history.return(operation, output)
      this.#count('answered')
    } catch (error) {
      this.#failed(operation, error as OperationError, node)
    }
  }

  #failed(operation: Op, { code, message }: OperationError, node: ChaosNode): void {
    this.#count(code)
    const isKnown = REFUSALS.has(code) || UNKNOWN.has(code)
    if (!isKnown) {
      const what = JSON.stringify(operation.input)
      this.#context.problem(`node ${node.nodeId} answered ${what} with ${message}`)
    }
    if (operation.input.do === 'get' || REFUSALS.has(code)) this.history.refuse(operation)
  }

  #count(outcome: string): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1)
  }

  #placeOf(key: string): Place {
    const { places } = this.#context
    return places[Number(key.split('-')[1]) % places.length]
  }
}
