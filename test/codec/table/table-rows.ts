/**
 * What the tests of this folder share: rows, arbitrary sorted lists of them, and tables in memory.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../../src/codec/bytes.ts'
import { MetastoreError } from '../../../src/codec/errors.ts'
import {
  type BuiltTable,
  TableBuilder,
  type TableBuilderOptions,
} from '../../../src/codec/table/table-builder.ts'
import { TableReader, type TableSource } from '../../../src/codec/table/table-reader.ts'

export interface Row {
  key: Uint8Array
  sequence: number
  isDelete: boolean
  value: Uint8Array
}

export const NOTHING: Uint8Array = new Uint8Array(0)

export const OPTIONS: TableBuilderOptions = {
  domain: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  createdAt: 1_700_000_000_000,
  compression: 'lz4',
  prefixLength: key => (key.length >= 2 ? 2 : 0),
  timestampOf: (_, value) => (value.length > 1 ? value[0] - 10 : undefined),
}

export function build(
  rows: readonly Row[],
  options: Partial<TableBuilderOptions> = {},
): BuiltTable {
  const builder = new TableBuilder({ ...OPTIONS, ...options })
  for (const row of rows) builder.add(row.key, row.sequence, row.isDelete, row.value)
  return builder.finish()
}

/** Gives the same scratch memory for every read, to show that readers copy what they keep. */
export function sourceOf(bytes: Uint8Array): TableSource {
  const scratch = new Uint8Array(bytes.length)
  return {
    sizeBytes: bytes.length,
    read(offset, length) {
      assert.ok(offset >= 0 && length >= 0, `a read of ${length} bytes at ${offset}`)
      assert.ok(offset + length <= bytes.length, 'a read past the end of the file')
      scratch.fill(0xee)
      scratch.set(bytes.subarray(offset, offset + length))
      return scratch.subarray(0, length)
    },
  }
}

export function open(bytes: Uint8Array): TableReader {
  return TableReader.open(sourceOf(bytes), 'table.sst')
}

/** Where a cursor stands: of BlockCursor and TableCursor alike. */
export interface Position {
  readonly valid: boolean
  readonly keyBytes: Uint8Array
  readonly keyLength: number
  readonly sequence: number
  readonly isDelete: boolean
  readonly valueLength: number
  value(): Uint8Array
}

export function textOf(row: Row): string {
  return `${toHex(row.key)}@${row.sequence}=${row.isDelete ? 'deleted' : toHex(row.value)}`
}

export function textAt(cursor: Position): string {
  if (!cursor.valid) return 'nowhere'
  const value = cursor.value()
  assert.equal(value.length, cursor.valueLength)
  return textOf({
    key: cursor.keyBytes.subarray(0, cursor.keyLength),
    sequence: cursor.sequence,
    isDelete: cursor.isDelete,
    value,
  })
}

/** The row at `i`, as textAt would give it. */
export function textOfRow(rows: readonly Row[], i: number): string {
  return i >= 0 && i < rows.length ? textOf(rows[i]) : 'nowhere'
}

/** The number of the first row whose key is at or after `key`. */
export function firstAtOrAfter(rows: readonly Row[], key: Uint8Array): number {
  const found = rows.findIndex(row => compareBytes(row.key, key) >= 0)
  return found < 0 ? rows.length : found
}

/** Runs `work`; any error but CORRUPTION fails the test. True when it threw that. */
export function isCorrupt(work: () => void): boolean {
  try {
    work()
    return false
  } catch (error) {
    if (error instanceof MetastoreError && error.code === 'CORRUPTION') return true
    throw error
  }
}

/** Keys of few letters, so that they collide, share prefixes and hold 0x00 and 0xff. */
export const keyArbitrary: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.constantFrom(0, 1, 40, 200),
    fc.array(fc.constantFrom(0x00, 0x01, 0x7f, 0xfe, 0xff), { maxLength: 5 }),
  )
  .map(([shared, tail]) => Uint8Array.from([...new Array<number>(shared).fill(0x41), ...tail]))

const valueArbitrary: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constant(NOTHING),
  fc.uint8Array({ maxLength: 12 }),
  fc.constantFrom(0, 255).map(byte => new Uint8Array(300).fill(byte)),
)

const sequenceArbitrary: fc.Arbitrary<number> = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constant(Number.MAX_SAFE_INTEGER),
)

/** Sorted rows: some keys once, some in up to 40 versions. */
export const rowsArbitrary: fc.Arbitrary<Row[]> = fc
  .array(
    fc.record({
      key: keyArbitrary,
      versions: fc.oneof(
        { weight: 4, arbitrary: versionsArbitrary(3) },
        { weight: 1, arbitrary: versionsArbitrary(40) },
      ),
    }),
    { maxLength: 60, size: 'max' },
  )
  .map(entries => {
    const unique = new Map(entries.map(entry => [toHex(entry.key), entry]))
    const sorted = [...unique.values()].sort((a, b) => compareBytes(a.key, b.key))
    return sorted.flatMap(({ key, versions }) => versions.map(version => ({ key, ...version })))
  })

function versionsArbitrary(maxLength: number): fc.Arbitrary<Omit<Row, 'key'>[]> {
  return fc
    .uniqueArray(
      fc.record({
        sequence: sequenceArbitrary,
        isDelete: fc.boolean(),
        value: valueArbitrary,
      }),
      { minLength: 1, maxLength, selector: version => version.sequence },
    )
    .map(versions =>
      versions
        .sort((a, b) => b.sequence - a.sequence)
        .map(version => (version.isDelete ? { ...version, value: NOTHING } : version)),
    )
}

export type Step =
  | { kind: 'next' | 'prev' | 'first' | 'last' }
  | { kind: 'ge' | 'lt'; key: Uint8Array }

export const stepsArbitrary: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('next', 'prev') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('first', 'last') }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('ge', 'lt'), key: keyArbitrary }) },
  ),
  { maxLength: 120, size: 'max' },
)

interface Walker extends Position {
  seekFirst(): boolean
  seekLast(): boolean
  seekGE(key: Uint8Array): boolean
  seekLT(key: Uint8Array): boolean
  next(): boolean
  prev(): boolean
  compareKey(key: Uint8Array): number
}

/** Takes the steps on the cursor and on the list of rows, and compares after each. */
export function walk(cursor: Walker, rows: readonly Row[], steps: readonly Step[]): void {
  let at = rows.length
  for (const step of steps) {
    const isAnywhere = at >= 0 && at < rows.length
    let moved: boolean
    switch (step.kind) {
      case 'first':
        at = 0
        moved = cursor.seekFirst()
        break
      case 'last':
        at = rows.length - 1
        moved = cursor.seekLast()
        break
      case 'ge':
        at = firstAtOrAfter(rows, step.key)
        moved = cursor.seekGE(step.key)
        break
      case 'lt':
        at = firstAtOrAfter(rows, step.key) - 1
        moved = cursor.seekLT(step.key)
        break
      case 'next':
        if (isAnywhere) at++
        moved = cursor.next()
        break
      case 'prev':
        if (isAnywhere) at--
        moved = cursor.prev()
        break
    }
    assert.equal(textAt(cursor), textOfRow(rows, at), step.kind)
    assert.equal(moved, cursor.valid, step.kind)
    if (moved && 'key' in step) {
      const order = compareBytes(rows[at].key, step.key)
      assert.equal(Math.sign(cursor.compareKey(step.key)), Math.sign(order))
    }
  }
}
