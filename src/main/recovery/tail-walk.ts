/**
 * Walks the tail of a domain from a manifest on. Of the objects that hold the next write, the one
 * that reaches furthest is taken, if it was made in time. No object is read twice, and some are
 * read ahead: those that are taken as long as none is damaged or too late.
 */
import { tailKey } from '../../codec/bucket-layout.ts'
import { MetastoreError } from '../../codec/errors.ts'
import type { Tail, TailName } from '../../codec/tail.ts'
import type { UnusedPieces } from '../../shared/api.ts'
import { coveringTails } from '../../shared/tail-cover.ts'
import { ReadAhead } from '../read-ahead.ts'

/** Objects of some MiB at most, of one domain at a time. */
const OBJECTS_AHEAD = 16

export interface TailWalkOptions {
  /** All of the domain. */
  readonly names: readonly TailName[]
  /** The last sequence that is there already. */
  readonly after: number
  /** Objects that were made later are passed over; milliseconds since the epoch. Null: all. */
  readonly until: number | null
  /** Another object may have what a damaged one should; else the walk ends there. */
  readonly passesDamage: boolean
  /** @throws CORRUPTION */
  readonly read: (name: TailName) => Promise<Tail>
}

export class TailWalk {
  readonly #options: TailWalkOptions
  readonly #tails: ReadAhead<TailName, Tail>
  readonly #isLater = new Set<TailName>()
  readonly #isDamaged = new Set<TailName>()
  /** The first damage that was met; undefined when there was none. */
  damage: MetastoreError | undefined
  /** The last sequence that there is. */
  reached: number
  batches = 0
  /** When the newest object that was used was made; undefined when none was. */
  createdAt: number | undefined

  constructor(options: TailWalkOptions) {
    const { names, after, read } = options
    this.#options = options
    this.#tails = new ReadAhead(coveringTails(names, after), OBJECTS_AHEAD, read)
    this.reached = after
  }

  /**
   * The batches that come next, with those of one object; undefined at the end.
   * @throws CORRUPTION for a damaged object, unless damage is passed
   */
  async next(): Promise<Uint8Array[] | undefined> {
    const batches = await this.#next()
    if (batches === undefined) this.#tails.end()
    return batches
  }

  async #next(): Promise<Uint8Array[] | undefined> {
    const { until } = this.#options
    if (until === null) return undefined
    for (const name of this.#holders()) {
      const tail = await this.#read(name)
      if (tail === undefined) continue
      if (tail.createdAt > until) {
        this.#isLater.add(name)
        continue
      }
      const batches = tail.batches.slice(this.reached + 1 - tail.first)
      this.reached = tail.last
      this.batches += batches.length
      this.createdAt = Math.max(this.createdAt ?? 0, tail.createdAt)
      return batches
    }
    return undefined
  }

  /** Of what goes beyond the end of the walk, why it was not used. */
  notUsed(): UnusedPieces[] {
    const beyond = this.#options.names.filter(({ last }) => last > this.reached)
    const isLater = beyond.some(name => this.#isLater.has(name))
    const whyOf = (name: TailName): UnusedPieces['why'] => {
      if (this.#isDamaged.has(name)) return 'damaged'
      return isLater || this.#options.until === null ? 'later' : 'gap'
    }
    return (['later', 'gap', 'damaged'] as const).flatMap(why => {
      const keys = beyond.filter(name => whyOf(name) === why).map(tailKey)
      const newest = keys.sort().at(-1)
      return newest === undefined
        ? []
        : [{ kind: 'tail' as const, why, count: keys.length, newest }]
    })
  }

  /** Those that hold the next write, the one that reaches furthest first. */
  #holders(): TailName[] {
    return this.#options.names
      .filter(({ first, last }) => first <= this.reached + 1 && last > this.reached)
      .filter(name => !this.#isLater.has(name) && !this.#isDamaged.has(name))
      .sort((a, b) => b.last - a.last)
  }

  async #read(name: TailName): Promise<Tail | undefined> {
    try {
      return await this.#tails.read(name)
    } catch (error) {
      const isDamage = error instanceof MetastoreError && error.code === 'CORRUPTION'
      if (!isDamage || !this.#options.passesDamage) throw error
      this.damage ??= error
      this.#isDamaged.add(name)
      return undefined
    }
  }
}
