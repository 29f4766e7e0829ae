/**
 * Callers of the nodes: each asks one thing after the other, of any node that is open, and waits for
 * what comes of it, unless the node stops. What they asked and were told is the history.
 */
import { MetastoreError } from '../../../src/codec/errors.ts'
import { TP_BYTES } from '../../../src/codec/keys.ts'
import { RecordStore } from '../../../src/main/record-store.ts'
import { History, type Operation } from '../../linearizability/history.ts'
import type { KeyValueInput, KeyValueOutput } from '../../linearizability/key-value.ts'
import type { Dice } from '../dice.ts'
import type { EventQueue } from '../event-queue.ts'
import type { Trace } from '../trace.ts'
import type { Bucket } from './bucket.ts'
import type { NodeSettings } from './settings.ts'
import type { SimNode } from './sim-node.ts'

export interface ClientsOptions {
  readonly settings: NodeSettings
  readonly queue: EventQueue
  readonly dice: Dice
  readonly nodes: readonly SimNode[]
  readonly bucket: Bucket
  readonly trace: Trace
  readonly onDefect: (error: unknown) => void
}

type Asked = Operation<KeyValueInput, KeyValueOutput>

interface UnderWay {
  readonly what: string
  readonly node: SimNode
  readonly life: number
  readonly sinceMs: number
}

/** Between two operations of a client, at most. */
const THINK_MS = 60
const RETRY_MS = 20
/** What a call may end with that has done nothing for sure. */
export const REFUSALS: ReadonlySet<string> = new Set(['UNAVAILABLE', 'OVERLOADED', 'CLOSED'])
const SEPARATOR = '|'
const topicPartition = { topicId: '', partition: 0 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Clients {
  readonly history: History<KeyValueInput, KeyValueOutput> = new History()
  readonly #options: ClientsOptions
  readonly #underWay = new Map<number, UnderWay>()
  #isActive = false
  #asked = 0
  writes = 0
  reads = 0
  refused = 0
  /** Writes that were refused, by code. */
  readonly refusedWrites: Map<string, number> = new Map()
  unknown = 0

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

  /** Calls that wait, of nodes that are still in the same life. */
  get underWay(): readonly UnderWay[] {
    return [...this.#underWay.values()].filter(({ node, life }) => node.host.life === life)
  }

  /** What counts: not reads without an answer, nor writes that nobody was told of or has seen. */
  get operations(): Asked[] {
    const { operations } = this.history
    const seen = new Set(operations.map(({ output }) => output))
    return operations.filter(
      ({ input, output }) => output !== undefined || (input.do === 'put' && seen.has(input.value)),
    )
  }

  #think(client: number): void {
    const { queue, dice } = this.#options
    queue.after(dice.between(0, THINK_MS), () => {
      if (this.#isActive) this.#ask(client)
      else this.#think(client)
    })
  }

  #ask(client: number): void {
    const { settings, dice, nodes, queue } = this.#options
    const node = dice.pick(nodes)
    if (node.open === undefined) {
      queue.after(RETRY_MS, () => this.#think(client))
      return
    }
    const domain = dice.below(settings.domains)
    const key = `${domain}/${dice.below(settings.keys)}`
    const isRead = dice.chance(settings.readsPercent)
    const input: KeyValueInput = isRead
      ? { do: 'get', key }
      : { do: 'put', key, value: `${this.#asked + 1}` }
    this.call(client, node, input, () => this.#think(client))
  }

  /** Asks a node. @param done told whether it was answered, when that has come or never will */
  call(
    client: number,
    node: SimNode,
    input: KeyValueInput,
    done: (isAnswered: boolean) => void,
  ): void {
    const { queue, trace, onDefect } = this.#options
    const id = ++this.#asked
    const { life } = node.host
    const what = `(${id}) ${JSON.stringify(input)} of node ${node.id}`
    trace(() => `client ${client}: ${what}`)
    const operation = this.history.call(client, input)
    this.#underWay.set(id, { what, node, life, sinceMs: queue.nowMs })
    let isOver = false
    const end = (how: string, isAnswered: boolean, effect: () => void): void => {
      // A dying node tells nobody anything.
      if (isOver || !node.host.isUp || node.host.isDying) return
      isOver = true
      this.#underWay.delete(id)
      trace(() => `client ${client}: (${id}) ${how}`)
      effect()
      queue.after(0, () => done(isAnswered))
    }
    this.#whenGone(node, life, id, done)
    node.host.run(() => {
      this.#send(node, input).then(
        output =>
          end(`answered ${output}`, true, () => {
            if (input.do === 'get') this.reads++
            else this.writes++
            this.history.return(operation, output)
          }),
        (error: unknown) => {
          if (!(error instanceof MetastoreError)) return onDefect(error)
          const { code, message } = error
          end(`${code} ${message}`, false, () => {
            if (code === 'INDETERMINATE') this.unknown++
            else if (REFUSALS.has(code) || this.#isOutdated(input, error)) {
              this.refused++
              if (input.do === 'put') {
                this.refusedWrites.set(code, (this.refusedWrites.get(code) ?? 0) + 1)
              }
              this.history.refuse(operation)
            } else onDefect(error)
          })
        },
      )
    })
  }

  /** A read that had begun by a manifest which was replaced, when its tables were collected. */
  #isOutdated(input: KeyValueInput, { code, details }: MetastoreError): boolean {
    const file = (details as { file?: unknown } | undefined)?.file
    const { guard } = this.#options.bucket
    return input.do === 'get' && code === 'CORRUPTION' && guard.isCollected(file)
  }

  /** The client goes on when the node has stopped. */
  #whenGone(node: SimNode, life: number, id: number, done: (isAnswered: boolean) => void): void {
    this.#options.queue.after(500, () => {
      if (!this.#underWay.has(id)) return
      if (node.host.life === life) this.#whenGone(node, life, id, done)
      else {
        this.#underWay.delete(id)
        done(false)
      }
    })
  }

  async #send(node: SimNode, input: KeyValueInput): Promise<KeyValueOutput> {
    const stack = node.open
    if (stack === undefined) throw new MetastoreError('UNAVAILABLE', 'not open')
    const [domain, key] = input.key.split('/')
    const tp = new Uint8Array(TP_BYTES)
    const place = { domain: stack.routed[Number(domain)], tp }
    const records = new RecordStore(
      'k',
      () => place,
      () => {},
    )
    if (input.do === 'get') {
      const value = await records.get(topicPartition, key)
      return value === undefined ? '' : decoder.decode(value).split(SEPARATOR)[0]
    }
    await records.put(topicPartition, key, this.#valueOf(input.value))
    return null
  }

  /** The value is told apart by its beginning; what follows is to fill memtables. */
  #valueOf(text: string): Uint8Array {
    const { dice, settings } = this.#options
    const padding = dice.chance(20) ? dice.below(settings.valueBytesMax) : dice.below(100)
    return encoder.encode(`${text}${SEPARATOR}${'.'.repeat(padding)}`)
  }
}
