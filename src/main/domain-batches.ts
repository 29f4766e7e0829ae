/**
 * The row batches that a domain's worker has or is about to have, and where they are in the log:
 * those that this node has proposed itself, and those that it gave to the worker as committed.
 */
import { Queue } from './queue.ts'

interface Batch {
  readonly index: number
  readonly sequence: number
}

export class DomainBatches {
  /** Proposed and not known to be committed, oldest first. */
  readonly #own = new Queue<Batch>()
  /** Given to the worker and not known to be in a frozen memtable, oldest first. */
  readonly #given = new Queue<Batch>()
  #lastOwn: Batch | undefined
  /** The last entry of this node that its worker knows of without being told, committed or not. */
  insertedIndex = 0

  get hasUncommitted(): boolean {
    return this.#own.length > 0
  }

  /** Whether the worker was given batches that are in no frozen memtable. */
  get hasGiven(): boolean {
    return this.#given.length > 0
  }

  proposed(index: number, sequence: number): void {
    this.#lastOwn = { index, sequence }
    this.#own.push(this.#lastOwn)
    this.insertedIndex = index
  }

  /** @returns the newest sequence of this node up to `index`; undefined when there is none */
  committedUpTo(index: number): number | undefined {
    let sequence: number | undefined
    for (let next = this.#own.peek(); next !== undefined; next = this.#own.peek()) {
      if (next.index > index) break
      this.#own.shift()
      sequence = next.sequence
    }
    return sequence
  }

  gave(index: number, sequence: number): void {
    this.#given.push({ index, sequence })
  }

  /**
   * The entry of a batch that ends a memtable; what was given before it is forgotten.
   * @returns undefined for one of this node itself that is not its last
   */
  indexOf(sequence: number): number | undefined {
    for (let next = this.#given.peek(); next !== undefined; next = this.#given.peek()) {
      if (next.sequence > sequence) break
      this.#given.shift()
      if (next.sequence === sequence) return next.index
    }
    return this.#lastOwn?.sequence === sequence ? this.#lastOwn.index : undefined
  }

  /** What this node has proposed and is not committed will not be, as far as it knows. */
  loseOwn(): void {
    while (this.#own.shift() !== undefined);
    this.insertedIndex = 0
  }

  /** The worker begins anew: it has nothing. */
  reset(): void {
    while (this.#given.shift() !== undefined);
    this.#lastOwn = undefined
  }
}
