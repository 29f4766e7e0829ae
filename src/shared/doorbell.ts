/**
 * A word that a thread sleeps on. Ringing adds 1 (modulo 2^32) and wakes the sleeper. A sleeper
 * reads the count *before* it looks for work and sleeps only while the count is still the same, so
 * a ring between looking and sleeping is never lost.
 *
 * Writers: any thread, by Atomics.add. Reader and sleeper: one thread.
 */
export class Doorbell {
  readonly #word: Int32Array
  readonly #at: number

  constructor(word: Int32Array, at: number) {
    this.#word = word
    this.#at = at
  }

  /** Any thread. */
  ring(): void {
    Atomics.add(this.#word, this.#at, 1)
    Atomics.notify(this.#word, this.#at)
  }

  /** The count to pass to a wait; read it before looking for work. */
  count(): number {
    return Atomics.load(this.#word, this.#at)
  }

  /** Blocks the calling thread until the count is not `seen` any more. Never on the main thread. */
  wait(seen: number, timeoutMs: number = Number.POSITIVE_INFINITY): void {
    Atomics.wait(this.#word, this.#at, seen, timeoutMs)
  }

  /**
   * Resolves once the count is not `seen` any more; undefined when it already is not. Does not
   * keep the process alive.
   */
  waitAsync(seen: number): Promise<unknown> | undefined {
    const result = Atomics.waitAsync(this.#word, this.#at, seen)
    return result.async ? result.value : undefined
  }
}
