/**
 * A client that appends objects to one partition, one after the other, as a broker does: each is
 * asked for with one request id, at one node after the other, until it is acknowledged. So each must
 * be there exactly once, and offsets have no gap.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NewObject } from '../../src/index.ts'
import type { Dice } from '../simulation/dice.ts'
import { type ChaosContext, someNode } from './chaos-context.ts'
import type { ChaosNode, OperationError } from './chaos-node.ts'
import type { Place } from './node-messages.ts'

const RECORDS_MAX = 50
const PAUSE_MS_MAX = 100
/** Then it is asked for at another node as well, while the first may still do it. */
const PATIENCE_MS = 2_500
const READ_PERCENT = 30
/** What a repeated call may be answered with before it is acknowledged. */
const PASSING: ReadonlySet<string> = new Set([
  ...['UNAVAILABLE', 'OVERLOADED', 'INDETERMINATE', 'CLOSED', 'LOST'],
])

export class StreamClient {
  readonly #context: ChaosContext
  readonly #place: Place
  readonly #dice: Dice
  readonly #done: Promise<void>
  #isStopped = false
  /** In order: object id, first and last offset. */
  readonly acknowledged: [string, number, number][] = []
  repeats = 0

  constructor(context: ChaosContext, place: Place) {
    this.#context = context
    this.#place = place
    this.#dice = context.dice.fork()
    this.#done = this.#run()
  }

  /** Resolves when what was begun is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
  }

  async check(): Promise<void> {
    const { cluster, problem } = this.#context
    for (const node of cluster.nodes) {
      const found = await node.ask('extents', { place: this.#place })
      const [is, expected] = [found, this.acknowledged].map(list => list.map(String))
      const differs = expected.findIndex((extent, i) => extent !== is[i])
      if (differs < 0 && is.length === expected.length) continue
      const at = differs < 0 ? expected.length : differs
      problem(
        `node ${node.nodeId}: partition ${this.#place.partition} has ${is.length} extents, not ` +
          `${expected.length}; the first that differs, ${at}, is ${is[at]}, not ${expected[at]}`,
      )
    }
  }

  async #run(): Promise<void> {
    let nextOffset = 0
    while (!this.#isStopped) {
      nextOffset = await this.#append(nextOffset)
      if (this.#dice.chance(READ_PERCENT)) await this.#read(nextOffset)
      await sleep(this.#dice.between(0, PAUSE_MS_MAX))
    }
  }

  async #append(baseOffset: number): Promise<number> {
    const place = this.#place
    const objectId = await this.#persist(node => node.ask('preregister', { place }, PATIENCE_MS))
    const lastOffset = baseOffset + this.#dice.below(RECORDS_MAX)
    const extent = { topicPartition: place, baseOffset, lastOffset }
    const sizes = { maxTimestamp: 1, position: 0, sizeBytes: 100 }
    const object: NewObject = {
      ...{ objectId, footerPosition: 100, sizeBytes: 120 },
      extents: [{ ...extent, ...sizes }],
    }
    const requestId = randomUUID()
    const corrected = await this.#persist(node =>
      node.ask('add', { place, object, baseOffset, requestId }, PATIENCE_MS),
    )
    if (corrected !== null) {
      const { partition } = place
      this.#context.problem(
        `partition ${partition}: the append at ${baseOffset} was corrected to ${corrected}`,
      )
      return corrected
    }
    this.acknowledged.push([objectId, baseOffset, lastOffset])
    return lastOffset + 1
  }

  /** Nobody else appends, so the newest state is known. */
  async #read(expected: number): Promise<void> {
    const ask = { place: this.#place, consistency: 'linearizable' } as const
    const node = someNode(this.#context, this.#dice)
    try {
      const found = await node?.ask('nextOffset', ask, PATIENCE_MS)
      if (found === undefined || found === expected) return
      this.#context.problem(
        `node ${node?.nodeId}: partition ${ask.place.partition} ends at ${found}, not ${expected}`,
      )
    } catch (error) {
      this.#expectPassing(error as OperationError)
    }
  }

  async #persist<T>(call: (node: ChaosNode) => Promise<T>): Promise<T> {
    for (;;) {
      const node = someNode(this.#context, this.#dice)
      if (node !== undefined) {
        try {
          return await call(node)
        } catch (error) {
          this.#expectPassing(error as OperationError)
          this.repeats++
        }
      }
      await sleep(20)
    }
  }

  #expectPassing({ code, message }: OperationError): void {
    if (PASSING.has(code)) return
    this.#context.problem(`partition ${this.#place.partition}: ${message}`)
  }
}
