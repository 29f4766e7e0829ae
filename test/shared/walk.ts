/** Random walks of a cursor, compared after every step with the list of the rows it should show. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../src/codec/bytes.ts'
import type { Version } from './versions.ts'

/** What RowCursor and RowScan have in common; the rest is compared where it is there. */
export interface Walkable {
  readonly valid: boolean
  readonly sequence?: number
  seek(key: Uint8Array): void
  seekBefore(key: Uint8Array): void
  next(): void
  prev(): void
  key(): Uint8Array
  value(): Uint8Array
  isDelete?(): boolean
  seekFirst?(): void
  seekLast?(): void
}

export type Step =
  | { readonly move: 'seek' | 'seekBefore'; readonly key: Uint8Array }
  | { readonly move: 'next' | 'prev' | 'first' | 'last' }

const BEFORE_ALL = new Uint8Array(0)
const AFTER_ALL = new Uint8Array(80).fill(0xff)

export function walkArbitrary(key: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ move: fc.constantFrom('seek', 'seekBefore'), key }) },
      { weight: 8, arbitrary: fc.record({ move: fc.constantFrom('next', 'prev') }) },
      { weight: 1, arbitrary: fc.record({ move: fc.constantFrom('first', 'last') }) },
    ),
    { minLength: 10, maxLength: 60, size: 'max' },
  )
}

/** @param rows sorted, one version a key: what the cursor should show */
export function walk(cursor: Walkable, rows: readonly Version[], steps: readonly Step[]): void {
  let at = -1
  for (const step of steps) {
    if (step.move === 'next' || step.move === 'prev') {
      // Moves from nowhere are not allowed.
      if (at < 0 || at >= rows.length) continue
      at += step.move === 'next' ? 1 : -1
      cursor[step.move]()
    } else {
      at = seekInto(cursor, rows, step)
    }
    verifyAt(cursor, rows[at], describeStep(step))
  }
}

function seekInto(cursor: Walkable, rows: readonly Version[], step: Step): number {
  switch (step.move) {
    case 'seek':
      cursor.seek(step.key)
      return countBelow(rows, step.key)
    case 'seekBefore':
      cursor.seekBefore(step.key)
      return countBelow(rows, step.key) - 1
    case 'first':
      if (cursor.seekFirst === undefined) cursor.seek(BEFORE_ALL)
      else cursor.seekFirst()
      return 0
    default:
      if (cursor.seekLast === undefined) cursor.seekBefore(AFTER_ALL)
      else cursor.seekLast()
      return rows.length - 1
  }
}

/** Both ways from end to end. */
export function verifyScans(cursor: Walkable, rows: readonly Version[]): void {
  walk(cursor, rows, [{ move: 'first' }, ...rows.map(() => ({ move: 'next' }) as const)])
  walk(cursor, rows, [{ move: 'last' }, ...rows.map(() => ({ move: 'prev' }) as const)])
}

function countBelow(rows: readonly Version[], key: Uint8Array): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes(rows[middle].key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function verifyAt(cursor: Walkable, row: Version | undefined, step: string): void {
  assert.equal(cursor.valid, row !== undefined, `valid after ${step}`)
  if (row === undefined) return
  assert.equal(toHex(cursor.key()), toHex(row.key), `key after ${step}`)
  assert.equal(toHex(cursor.value()), toHex(row.value), `value after ${step}`)
  if (cursor.isDelete !== undefined) assert.equal(cursor.isDelete(), row.isDelete)
  if (cursor.sequence !== undefined) assert.equal(cursor.sequence, row.sequence)
}

function describeStep(step: Step): string {
  return 'key' in step ? `${step.move} ${toHex(step.key)}` : step.move
}
