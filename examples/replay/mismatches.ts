/** Answers that were not the right ones. */
import { isDeepStrictEqual } from 'node:util'
import type { Outcome } from './outcome.ts'

export interface Mismatch {
  /** Which call, and in which part of the run. */
  where: string
  expected: unknown
  got: Outcome
}

const SHOWN_MAX = 10
const TEXT_CHARS_MAX = 300

export class Mismatches {
  readonly #list: Mismatch[] = []

  get list(): readonly Mismatch[] {
    return this.#list
  }

  get count(): number {
    return this.#list.length
  }

  add(mismatch: Mismatch): void {
    this.#list.push(mismatch)
  }

  /** @param allowed the right answers; most calls have one */
  expect(where: string, got: Outcome, ...allowed: readonly unknown[]): void {
    if (allowed.some(answer => isDeepStrictEqual(got.answer, answer))) return
    this.add({ where, expected: allowed.length === 1 ? allowed[0] : { anyOf: allowed }, got })
  }

  /** The first few, one a line. */
  lines(): string[] {
    const lines = this.#list.slice(0, SHOWN_MAX).map(line)
    const more = this.#list.length - lines.length
    return more === 0 ? lines : [...lines, `and ${more} more`]
  }
}

function line({ where, expected, got }: Mismatch): string {
  const reason = got.reason === undefined ? '' : ` (${got.reason})`
  return `${where}: expected ${text(expected)}, got ${text(got.answer)}${reason}`
}

function text(value: unknown): string {
  const json = JSON.stringify(value)
  return json.length <= TEXT_CHARS_MAX ? json : `${json.slice(0, TEXT_CHARS_MAX)}...`
}
