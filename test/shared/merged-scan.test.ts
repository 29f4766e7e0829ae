/**
 * Goal: a merged scan shows of every key the newest source's version, no deletes, nothing outside
 * its prefix, and does so whichever way it goes and wherever it turns.
 * Method: sources over plain arrays, compared with the map that results from putting them over one
 * another; every short path of moves from every row, then random walks.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { hasPrefix } from '../../src/codec/keys.ts'
import { MergedScan } from '../../src/shared/merged-scan.ts'
import type { RowCursor } from '../../src/shared/row-cursor.ts'
import { compareVersions, type Version } from './versions.ts'
import { type Step, verifyScans, walk, walkArbitrary } from './walk.ts'

/** A source over a sorted array. Its arrays are reused, as borrowed ones are. */
class ArrayCursor implements RowCursor {
  readonly #rows: readonly Version[]
  readonly #scratch = new Uint8Array(256)
  #at = -1

  constructor(rows: readonly Version[]) {
    this.#rows = rows
  }

  get valid(): boolean {
    return this.#at >= 0 && this.#at < this.#rows.length
  }

  seek(key: Uint8Array): void {
    const at = this.#rows.findIndex(row => Buffer.compare(row.key, key) >= 0)
    this.#at = at < 0 ? this.#rows.length : at
  }

  seekBefore(key: Uint8Array): void {
    this.#at = this.#rows.findLastIndex(row => Buffer.compare(row.key, key) < 0)
  }

  next(): void {
    assert.ok(this.valid, 'next() from nowhere')
    this.#at++
  }

  prev(): void {
    assert.ok(this.valid, 'prev() from nowhere')
    this.#at--
  }

  key(): Uint8Array {
    assert.ok(this.valid, 'key() of nothing')
    const { key } = this.#rows[this.#at]
    this.#scratch.set(key)
    return this.#scratch.subarray(0, key.length)
  }

  value(): Uint8Array {
    assert.ok(this.valid, 'value() of nothing')
    return this.#rows[this.#at].value
  }

  isDelete(): boolean {
    assert.ok(this.valid, 'isDelete() of nothing')
    return this.#rows[this.#at].isDelete
  }
}

/** What `sources`, newest first, show together. */
function merge(sources: readonly (readonly Version[])[], prefix: Uint8Array): Version[] {
  const newest = new Map<string, Version>()
  for (const row of [...sources].reverse().flat()) newest.set(toHex(row.key), row)
  return [...newest.values()]
    .filter(row => !row.isDelete && hasPrefix(row.key, prefix))
    .sort(compareVersions)
}

function scanOf(sources: readonly (readonly Version[])[], prefix: Uint8Array): MergedScan {
  return new MergedScan(
    sources.map(rows => new ArrayCursor(rows)),
    prefix,
  )
}

/** Not a Buffer, whose slice() is a view. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'))
}

/** `-` before a key makes it a delete. */
function source(number: number, ...names: string[]): Version[] {
  return names.map(name => {
    const isDelete = name.startsWith('-')
    const key = bytesOf(isDelete ? name.slice(1) : name)
    return { key, sequence: 1, isDelete, value: bytesOf(isDelete ? '' : `${name} ${number}`) }
  })
}

function moves(...names: ('next' | 'prev')[]): Step[] {
  return names.map(move => ({ move }))
}

const keyArbitrary = fc
  .array(fc.constantFrom(0, 0x61, 0x62, 0xff), { maxLength: 3 })
  .map(bytes => Uint8Array.from([0x10, ...bytes]))

const sourcesArbitrary = fc.array(
  fc
    .uniqueArray(
      fc.record({
        key: keyArbitrary,
        isDelete: fc.boolean(),
        value: fc.uint8Array({ maxLength: 2 }),
      }),
      { selector: row => toHex(row.key), maxLength: 25, size: 'max' },
    )
    .map(rows =>
      rows
        .map(({ key, isDelete, value }): Version => {
          return { key, sequence: 1, isDelete, value: isDelete ? new Uint8Array(0) : value }
        })
        .sort(compareVersions),
    ),
  { maxLength: 5 },
)

const prefixArbitrary = fc.oneof(
  keyArbitrary.map(key => key.subarray(0, 2)),
  keyArbitrary,
  fc.constant(Uint8Array.of(0x10, 0xff, 0xff)),
)

describe('a merged scan', () => {
  test('shows of each key the first source that has it', () => {
    const sources = [source(0, 'a1', 'a3'), source(1, 'a1', 'a2'), source(2, 'a0', 'a2', 'a3')]
    const scan = scanOf(sources, bytesOf('a'))
    const seen: string[] = []
    for (scan.seekFirst(); scan.valid; scan.next()) seen.push(Buffer.from(scan.value()).toString())
    assert.deepEqual(seen, ['a0 2', 'a1 0', 'a2 1', 'a3 0'])
  })

  test('leaves out what a newer source deletes, not what an older one does', () => {
    const sources = [source(0, '-a1', 'a3'), source(1, 'a1', '-a2'), source(2, 'a2', '-a3', '-a4')]
    const rows = merge(sources, bytesOf('a'))
    assert.deepEqual(
      rows.map(row => Buffer.from(row.value).toString()),
      ['a3 0'],
    )
    verifyScans(scanOf(sources, bytesOf('a')), rows)
  })

  test('without sources has no rows', () => {
    const scan = scanOf([], bytesOf('a'))
    walk(scan, [], [{ move: 'first' }, { move: 'last' }])
    scan.seek(bytesOf('a'))
    assert.equal(scan.valid, false)
    scan.seekBefore(bytesOf('b'))
    assert.equal(scan.valid, false)
  })

  test('keeps to its prefix, also where that ends in 0xff', () => {
    const names = ['\x10\xfe', '\x10\xff', '\x10\xff\0', '\x10\xff\xff', '\x11', '\x11\0']
    for (const sources of [[source(0, ...names)], [source(0, names[1]), source(1, ...names)]]) {
      for (const prefix of ['\x10\xff', '\x10\xff\xff', '\x10', '\x11', '\x0f', '\x12']) {
        const bytes = bytesOf(prefix)
        verifyScans(scanOf(sources, bytes), merge(sources, bytes))
      }
      const scan = scanOf(sources, Uint8Array.of(0xff))
      walk(scan, [], [{ move: 'first' }, { move: 'last' }])
    }
  })

  test('seeks from outside its prefix lead to its ends', () => {
    const sources = [source(0, 'a', 'b1', 'b2', 'c'), source(1, 'b0', '-b2', 'b3', 'c')]
    const prefix = bytesOf('b')
    const rows = merge(sources, prefix)
    assert.equal(rows.length, 4)
    const steps = ['', 'a', 'a9', 'b', 'b0', 'b\xff', 'c', 'c0', 'z'].flatMap((name): Step[] => {
      const key = bytesOf(name)
      return [
        { move: 'seek', key },
        ...moves('prev'),
        { move: 'seekBefore', key },
        ...moves('next'),
      ]
    })
    walk(scanOf(sources, prefix), rows, steps)
  })

  test('turns at every row, as often as wanted', () => {
    const sources = [
      source(0, 'a2', '-a4', 'a6', '-a7', 'a9'),
      source(1, 'a1', 'a2', '-a3', 'a4', 'a7'),
      source(2, 'a0', 'a2', 'a3', 'a5', '-a6', 'a8'),
    ]
    const prefix = bytesOf('a')
    for (const used of [sources, sources.slice(0, 2), sources.slice(1), sources.slice(2)]) {
      const rows = merge(used, prefix)
      for (const { key } of rows) {
        for (let path = 0; path < 64; path++) {
          const steps = moves(
            ...Array.from({ length: 6 }, (_, i) => ((path >> i) & 1 ? 'next' : 'prev')),
          )
          const scan = scanOf(used, prefix)
          walk(scan, rows, [{ move: 'seek', key }, ...steps])
          walk(scan, rows, [{ move: 'last' }, { move: 'seekBefore', key }, ...steps])
        }
      }
    }
  })

  test('walks as over the merged rows', () => {
    fc.assert(
      fc.property(
        sourcesArbitrary,
        prefixArbitrary,
        walkArbitrary(keyArbitrary),
        (sources, prefix, steps) => {
          walk(scanOf(sources, prefix), merge(sources, prefix), steps)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('keeps a copy of its prefix, whatever kind of bytes that is, and leaves it as it is', () => {
    const rows = [source(0, 'a', 'b', 'c')]
    for (const prefix of [bytesOf('b'), Buffer.from('b')]) {
      const scan = scanOf(rows, prefix)
      scan.seekLast()
      assert.equal(prefix[0], 0x62)
      prefix[0] = 0x61
      verifyScans(scan, merge(rows, bytesOf('b')))
    }
  })
})
