/**
 * A bump allocator over one fixed SharedArrayBuffer, in 32-bit words. One thread allocates; any
 * thread reads. Memory is never freed: the arena goes as a whole, with its last reference. Growable
 * buffers were measured three times slower to read, so the size is fixed.
 *
 * Word 0 is never handed out: the address 0 means "nothing".
 */
export class Arena {
  readonly words: Uint32Array
  /** The same memory for Atomics, which want signed words. */
  readonly atomics: Int32Array
  readonly bytes: Uint8Array
  readonly #usedWord: number
  #used: number

  /**
   * @param usedWord the word that holds the number of words used. Writer: the allocating thread.
   *   Readers: anyone, for statistics; may be late.
   * @param reservedWords words at the start that the owner lays out itself
   */
  constructor(memory: SharedArrayBuffer, usedWord: number, reservedWords: number) {
    this.words = new Uint32Array(memory)
    this.atomics = new Int32Array(memory)
    this.bytes = new Uint8Array(memory)
    this.#usedWord = usedWord
    this.#used = Math.max(this.words[usedWord], reservedWords)
  }

  /** The address of `count` zeroed words, or 0 when they do not fit. Writer only. */
  allocate(count: number): number {
    const at = this.#used
    if (at + count > this.words.length) return 0
    this.#used = at + count
    this.words[this.#usedWord] = this.#used
    return at
  }

  get freeWords(): number {
    return this.words.length - this.#used
  }

  /** Any thread; may be late. */
  get usedBytes(): number {
    return this.words[this.#usedWord] * 4
  }
}
