/**
 * Which versions of a row a flush or compaction keeps. The versions of a key come newest first;
 * kept are the newest of all, and for each live snapshot the newest that it sees. A delete that
 * nobody needs to know of goes as well, once nothing below can hold the key.
 */
export class VersionFilter {
  /** Descending. */
  readonly #snapshots: readonly number[]
  /** The snapshots from here on see only versions older than those so far. */
  #next = 0
  #isFirst = true

  /** @param snapshots sequences of the live ones, in any order */
  constructor(snapshots: readonly number[]) {
    this.#snapshots = [...snapshots].sort((a, b) => b - a)
  }

  /** The versions of another key follow. */
  beginKey(): void {
    this.#next = 0
    this.#isFirst = true
  }

  /**
   * Whether to keep the next older version of the key.
   * @param isGone it is a delete, and nothing below can hold the key
   */
  keeps(sequence: number, isGone: boolean): boolean {
    const first = this.#next
    while (this.#next < this.#snapshots.length && this.#snapshots[this.#next] >= sequence) {
      this.#next++
    }
    const isSeen = this.#isFirst || this.#next > first
    this.#isFirst = false
    if (!isSeen) return false
    // Whoever sees the delete finds nothing without it, too: what it hides is older than all of
    // them, is seen by no snapshot, and is dropped right after it.
    return !(isGone && this.#next === this.#snapshots.length)
  }
}
