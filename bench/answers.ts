/** What a round was told, checked and folded into a hash: so that none of it is optimised away. */
import assert from 'node:assert/strict'

/** FNV-1a's, on words instead of bytes. */
const HASH_START = 0x811c9dc5
const HASH_PRIME = 0x01000193

export class Answers {
  #checked = 0
  #hash = HASH_START

  /** Takes over what another thread has checked. */
  static from(checked: number, hash: number): Answers {
    const answers = new Answers()
    answers.#checked = checked
    answers.#hash = hash
    return answers
  }

  get checked(): number {
    return this.#checked
  }

  /** 32 bits. */
  get hash(): number {
    return this.#hash >>> 0
  }

  /** @throws AssertionError when the answer is wrong */
  expect(actual: number, expected: number): void {
    if (actual !== expected) assert.fail(`a wrong answer: ${actual} instead of ${expected}`)
    this.#hash = Math.imul(this.#hash ^ actual, HASH_PRIME)
    this.#checked++
  }
}
