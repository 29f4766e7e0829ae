/**
 * Callers that register objects, each request under one id until it is answered: it is sent again,
 * to any node, when it was refused, when nobody knows what became of it, or when no answer has come
 * for a while; and some once more when they have their answer. Every request must have been carried
 * out once, and every answer to it must be the first one.
 */
import assert from 'node:assert/strict'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { formatUuid, stampVersion4, UUID_BYTES } from '../../../src/codec/uuid.ts'
import { WRITE_KIND } from '../../../src/shared/writes/write-kinds.ts'
import { type ClientsOptions, REFUSALS } from './clients.ts'
import type { SimNode } from './sim-node.ts'

const REGISTRANTS = 2
const THINK_MS = 300
const RETRY_MS = 20
/** Then it is sent to another node as well, while the first may still do it. */
const PATIENCE_MS = 2500
const REPEATED_PERCENT = 30
const REPEATED_AFTER_MS = 3000
const OBJECTS_MAX = 3

interface Request {
  readonly id: Uint8Array
  readonly domain: number
  readonly count: number
  /** Ids of the objects; undefined until the first answer. */
  answer: string | undefined
}

export class Registrants {
  readonly #options: ClientsOptions
  readonly #open = new Set<Request>()
  /** By domain: what answers have named. */
  readonly #registered: readonly Set<string>[]
  #isActive = false
  requests = 0
  /** Attempts but the first ones. */
  repeats = 0

  constructor(options: ClientsOptions) {
    this.#options = options
    this.#registered = Array.from({ length: options.settings.domains }, () => new Set())
    for (let i = 0; i < REGISTRANTS; i++) this.#think()
  }

  goOn(): void {
    this.#isActive = true
  }

  /** No new requests; those that wait for an answer are gone on with. */
  pause(): void {
    this.#isActive = false
  }

  /** Requests that were not answered yet. */
  get underWay(): string[] {
    return [...this.#open].map(({ id }) => `registration ${formatUuid(id)}`)
  }

  /** With all requests answered: a domain has what the answers named, and nothing else. */
  check(domain: number, objects: ReadonlySet<string>): void {
    const registered = this.#registered[domain]
    const lost = [...registered].filter(id => !objects.has(id))
    assert.equal(lost.length, 0, `objects of domain ${domain} are gone: ${lost}`)
    const twice = [...objects].filter(id => !registered.has(id))
    assert.equal(twice.length, 0, `a request to domain ${domain} was done twice: ${twice}`)
  }

  #think(): void {
    const { queue, dice, settings } = this.#options
    queue.after(dice.between(0, THINK_MS), () => {
      if (!this.#isActive) return this.#think()
      const id = new Uint8Array(UUID_BYTES)
      for (let i = 0; i < id.length; i++) id[i] = dice.below(256)
      stampVersion4(id)
      const domain = dice.below(settings.domains)
      const request = { id, domain, count: dice.whole(1, OBJECTS_MAX), answer: undefined }
      this.requests++
      this.#open.add(request)
      this.#attempt(request, () => this.#answered(request))
    })
  }

  #answered(request: Request): void {
    const { queue, dice } = this.#options
    this.#open.delete(request)
    if (dice.chance(REPEATED_PERCENT)) {
      queue.after(dice.between(0, REPEATED_AFTER_MS), () => this.#repeat(request, () => {}))
    }
    this.#think()
  }

  #repeat(request: Request, done: () => void): void {
    this.repeats++
    this.#attempt(request, done)
  }

  /** @param done told when it is answered, by this attempt or a later one */
  #attempt(request: Request, done: () => void): void {
    const { queue, dice, nodes } = this.#options
    const node = dice.pick(nodes)
    if (node.open === undefined) {
      queue.after(RETRY_MS, () => this.#attempt(request, done))
      return
    }
    let isOver = false
    const end = (next: () => void): void => {
      if (!isOver) queue.after(0, next)
      isOver = true
    }
    const again = (): void => this.#repeat(request, done)
    queue.after(PATIENCE_MS, () => end(again))
    this.#ask(node, request, isAnswered =>
      end(isAnswered ? done : () => queue.after(RETRY_MS, again)),
    )
  }

  #ask(node: SimNode, request: Request, settle: (isAnswered: boolean) => void): void {
    const { trace, onDefect } = this.#options
    const { host } = node
    const { life } = host
    const name = formatUuid(request.id)
    trace(() => `registration ${name} of domain ${request.domain} at node ${node.id}`)
    // A dying node tells nobody anything.
    const isTold = (): boolean => host.life === life && host.isUp && !host.isDying
    host.run(() => {
      this.#send(node, request).then(
        answer => {
          if (!isTold()) return
          trace(() => `registration ${name}: ${answer}`)
          this.#take(request, answer)
          settle(true)
        },
        (error: unknown) => {
          if (!(error instanceof MetastoreError)) return onDefect(error)
          const { code, message } = error
          if (!isTold()) return
          trace(() => `registration ${name}: ${code} ${message}`)
          if (code === 'INDETERMINATE' || REFUSALS.has(code)) settle(false)
          else onDefect(error)
        },
      )
    })
  }

  #take(request: Request, answer: string): void {
    const { onDefect } = this.#options
    const { id, domain } = request
    if (request.answer === undefined) {
      request.answer = answer
      for (const object of answer.split(' ')) this.#registered[domain].add(object)
    } else if (request.answer !== answer) {
      const what = `registration ${formatUuid(id)} was answered ${request.answer}`
      onDefect(new Error(`${what}, and then ${answer}`))
    }
  }

  async #send(node: SimNode, { id, domain, count }: Request): Promise<string> {
    const stack = node.open
    if (stack === undefined) throw new MetastoreError('UNAVAILABLE', 'not open')
    return await stack.routed[domain].write(
      out => out.u8(1).raw(id).u8(WRITE_KIND.preregisterObjects).varint(count),
      reader => {
        const objects: string[] = []
        while (reader.remaining > 0) {
          objects.push(formatUuid(reader.bytes, reader.need(UUID_BYTES)))
        }
        return objects.join(' ')
      },
      true,
    )
  }
}
