/**
 * The live snapshots of one domain: sequences whose versions flushes and compactions keep
 * (docs/lsm.md, "Snapshots"). Main thread.
 */
export interface LiveSnapshot {
  readonly sequence: number
  /** Versions that only this one sees may go from now on. May be called again. */
  release(): void
}

export class SnapshotRegistry {
  /** How many hold each sequence. */
  readonly #holders = new Map<number, number>()

  take(sequence: number): LiveSnapshot {
    this.#holders.set(sequence, (this.#holders.get(sequence) ?? 0) + 1)
    let isReleased = false
    return {
      sequence,
      release: () => {
        if (isReleased) return
        isReleased = true
        const left = (this.#holders.get(sequence) ?? 1) - 1
        if (left === 0) this.#holders.delete(sequence)
        else this.#holders.set(sequence, left)
      },
    }
  }

  /** Ascending. */
  sequences(): number[] {
    return [...this.#holders.keys()].sort((a, b) => a - b)
  }
}
