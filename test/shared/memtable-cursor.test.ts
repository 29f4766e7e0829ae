/**
 * Goal: a cursor over a memtable shows, at any snapshot and whichever way it moves, the newest
 * version of each key that the snapshot sees, in key order over all lists.
 * Method: random rows of all types and random walks, compared with the sorted array of versions.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { KeyBuilder, putU64be } from '../../src/codec/keys.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { MemtableCursor } from '../../src/shared/memtable-cursor.ts'
import { shuffled } from './random.ts'
import {
  firstSequenceArbitrary,
  insert,
  keyArbitrary,
  rowsArbitrary,
  topicPartition,
  versionsOf,
} from './row-keys.ts'
import { type Version, VersionsModel } from './versions.ts'
import { verifyScans, walk, walkArbitrary } from './walk.ts'

const keys = new KeyBuilder()
const TP = topicPartition(new Uint8Array(16).fill(3), 5)

function fill(versions: readonly Version[], bytes = 1_048_576): [Memtable, VersionsModel] {
  const memtable = new Memtable(new SharedArrayBuffer(bytes))
  const model = new VersionsModel()
  for (const version of versions) {
    assert.equal(insert(memtable, version), true)
    model.add(version)
  }
  return [memtable, model]
}

/** Versions of extents of one partition: one list. */
function extent(baseOffset: number, sequence: number, isDelete = false): Version {
  const value = new Uint8Array(isDelete ? 0 : 8)
  if (!isDelete) putU64be(value, 0, sequence)
  return { key: keys.extent(TP, baseOffset).slice(), sequence, isDelete, value }
}

describe('a memtable cursor', () => {
  test('walks as over the sorted array', () => {
    fc.assert(
      fc.property(
        rowsArbitrary,
        firstSequenceArbitrary,
        walkArbitrary(keyArbitrary),
        fc.nat({ max: 260 }),
        (rows, firstSequence, steps, age) => {
          const versions = versionsOf(rows, firstSequence)
          const [memtable, model] = fill(versions)
          const newest = versions.at(-1)?.sequence ?? firstSequence
          for (const snapshot of [newest, newest + 1, Math.max(0, newest - age)]) {
            walk(new MemtableCursor(memtable, snapshot), model.at(snapshot), steps)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('scans each snapshot both ways', () => {
    fc.assert(
      fc.property(rowsArbitrary, firstSequenceArbitrary, (rows, firstSequence) => {
        const versions = versionsOf(rows, firstSequence)
        const [memtable, model] = fill(versions)
        const sequences = new Set([0, firstSequence, ...versions.map(({ sequence }) => sequence)])
        for (const snapshot of sequences) {
          verifyScans(new MemtableCursor(memtable, snapshot), model.at(snapshot))
        }
      }),
      { numRuns: 60 },
    )
  })

  test('sees of many versions of one key the one of its snapshot', () => {
    const versions = Array.from({ length: 300 }, (_, i) =>
      extent(7, 2 ** 32 - 150 + i, i % 5 === 4),
    )
    const neighbours = [extent(6, 2 ** 32 - 100), extent(8, 2 ** 32 + 100)]
    const all = [...versions, ...neighbours].sort((a, b) => a.sequence - b.sequence)
    const [memtable, model] = fill(all)
    for (const { sequence } of all) {
      verifyScans(new MemtableCursor(memtable, sequence), model.at(sequence))
    }
  })

  const count = 1500
  const offsets = Array.from({ length: count }, (_, i) => i * 10)
  const orders = {
    ascending: offsets,
    descending: [...offsets].reverse(),
    random: shuffled(offsets, 11),
    'mostly ascending': [
      ...offsets.filter(o => o % 70 !== 0),
      ...offsets.filter(o => o % 70 === 0),
    ],
  }
  for (const [name, ordered] of Object.entries(orders)) {
    test(`walks long lists that were filled in ${name} order`, () => {
      const versions = ordered.map((offset, i) => extent(offset, i + 1))
      const again = shuffled(offsets, 12)
        .slice(0, count / 2)
        .map((offset, i) => extent(offset, count + 1 + i, i % 3 === 0))
      const [memtable, model] = fill([...versions, ...again])
      for (const snapshot of [0, 10, count / 2, count, count + 100, 2 * count]) {
        const rows = model.at(snapshot)
        const cursor = new MemtableCursor(memtable, snapshot)
        verifyScans(cursor, rows)
        for (const offset of shuffled(offsets, snapshot).slice(0, 100)) {
          for (const probe of [offset - 1, offset, offset + 1]) {
            const key = keys.extent(TP, Math.max(0, probe)).slice()
            walk(cursor, rows, [
              { move: 'seek', key },
              { move: 'prev' },
              { move: 'seekBefore', key },
              { move: 'next' },
            ])
          }
        }
      }
    })
  }

  test('does not see what comes after it, also in new lists and at the ends of old ones', () => {
    const [memtable, model] = fill([extent(5, 1), extent(9, 2)])
    const cursor = new MemtableCursor(memtable, 2)
    cursor.seekFirst()
    const rows = model.at(2)
    const later = [0, 5, 6, 9, 10, ...Array.from({ length: 50 }, (_, i) => 20 + i)]
    for (const offset of later) insert(memtable, extent(offset, 3, offset === 5))
    insert(memtable, { ...extent(0, 3), key: keys.partition(TP).slice() })
    insert(memtable, { ...extent(0, 3), key: keys.term(TP, 4).slice() })
    assert.deepEqual(cursor.key(), rows[0].key)
    cursor.next()
    assert.deepEqual(cursor.key(), rows[1].key)
    cursor.next()
    assert.equal(cursor.valid, false)
    verifyScans(cursor, rows)
  })

  test('two cursors of one thread do not disturb one another', () => {
    const versions = Array.from({ length: 60 }, (_, i) => extent((i * 7) % 20, i + 1))
    const [memtable, model] = fill(versions)
    const [old, fresh] = [25, 60]
    const forward = new MemtableCursor(memtable, old)
    const backward = new MemtableCursor(memtable, fresh)
    forward.seekFirst()
    backward.seekBefore(keys.extent(TP, 1000))
    const seen: Uint8Array[][] = [[], []]
    for (; forward.valid && backward.valid; forward.next(), backward.prev()) {
      seen[0].push(forward.value().slice())
      seen[1].unshift(backward.value().slice())
    }
    assert.deepEqual(
      seen[0],
      model.at(old).map(row => row.value),
    )
    assert.deepEqual(
      seen[1],
      model.at(fresh).map(row => row.value),
    )
  })
})
