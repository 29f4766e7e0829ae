/**
 * Goal: a snapshot over memtables and tables shows what one sorted array of all their versions
 * would, by get and by scans of any prefix, and again after its cursors went back.
 * Method: random versions, cut by sequence into real memtables and real tables.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { directoryPrefixBytes, hasPrefix, KeyBuilder } from '../../src/codec/keys.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { Snapshot } from '../../src/shared/snapshot.ts'
import type { Version as TableVersion } from '../../src/shared/version.ts'
import {
  firstSequenceArbitrary,
  insert,
  keyArbitrary,
  prefixArbitrary,
  rowsArbitrary,
  topicPartition,
  versionsOf,
} from './row-keys.ts'
import { levelOf, tableOf, versionOf } from './tables.ts'
import { type Version, VersionsModel } from './versions.ts'
import { verifyScans, walk, walkArbitrary } from './walk.ts'

const keys = new KeyBuilder()

interface Sources {
  memtables: Memtable[]
  tables: TableVersion
  model: VersionsModel
}

/**
 * Splits versions at `cuts` (of 1000) into sources, newest first: the later ones in memtables, the
 * earlier ones in tables. Versions of one batch stay together.
 */
function sourcesOf(versions: readonly Version[], cuts: readonly number[], tables: number): Sources {
  const model = new VersionsModel()
  const parts: VersionsModel[] = Array.from({ length: cuts.length + 1 }, () => new VersionsModel())
  const ends = cuts
    .map(cut => versions[Math.floor((cut * versions.length) / 1000)]?.sequence ?? Infinity)
    .sort((a, b) => a - b)
  for (const version of versions) {
    model.add(version)
    parts[ends.filter(end => end < version.sequence).length].add(version)
  }
  const memtables = parts.slice(tables).map(part => {
    const memtable = new Memtable(new SharedArrayBuffer(524_288))
    const inserted = [...part.versions].sort((a, b) => a.sequence - b.sequence)
    for (const version of inserted) assert.equal(insert(memtable, version), true)
    return memtable
  })
  return {
    memtables: memtables.reverse(),
    tables: layered(parts.slice(0, tables).reverse()),
    model,
  }
}

/** Newest first: the first two in level 0, each further part a level of several tables. */
function layered(parts: readonly VersionsModel[]): TableVersion {
  return versionOf(
    parts.flatMap(({ versions }, i) =>
      i < 2 ? [tableOf(versions)] : levelOf(versions, i - 1, 1 + (versions.length % 4)),
    ),
  )
}

const sourcesArbitrary: fc.Arbitrary<Sources> = fc
  .tuple(
    rowsArbitrary,
    firstSequenceArbitrary,
    fc.array(fc.nat({ max: 999 }), { maxLength: 7 }),
    fc.nat({ max: 6 }),
  )
  .map(([rows, firstSequence, cuts, tables]) =>
    sourcesOf(versionsOf(rows, firstSequence), cuts, Math.min(tables, cuts.length + 1)),
  )

/** A snapshot at the newest sequence, less `age`. */
function sequenceAt(model: VersionsModel, age: number): number {
  return Math.max(0, Math.max(0, ...model.versions.map(({ sequence }) => sequence)) - age)
}

function visible(model: VersionsModel, sequence: number, prefix: Uint8Array): Version[] {
  return model.at(sequence).filter(row => !row.isDelete && hasPrefix(row.key, prefix))
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? 'nothing' : toHex(value)
}

describe('a snapshot', () => {
  test('gets of each key its newest version, or nothing where that is a delete', () => {
    fc.assert(
      fc.property(
        sourcesArbitrary,
        fc.nat({ max: 200 }),
        fc.array(keyArbitrary, { maxLength: 10 }),
        ({ memtables, tables, model }, age, probes) => {
          for (const sequence of [sequenceAt(model, 0), sequenceAt(model, age)]) {
            const snapshot = new Snapshot(memtables, tables, sequence)
            for (const key of [...model.versions.map(version => version.key), ...probes]) {
              const version = model.find(key, sequence)
              const expected = version?.isDelete === true ? undefined : version?.value
              assert.equal(textOf(snapshot.get(key)), textOf(expected))
            }
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  test('scans of any prefix walk as over the sorted array', () => {
    fc.assert(
      fc.property(
        sourcesArbitrary,
        fc.nat({ max: 200 }),
        fc.array(prefixArbitrary, { minLength: 1, maxLength: 4 }),
        walkArbitrary(keyArbitrary),
        ({ memtables, tables, model }, age, prefixes, steps) => {
          // Tables hand out the cursors of the snapshot before.
          for (const sequence of [sequenceAt(model, 0), sequenceAt(model, age)]) {
            const snapshot = new Snapshot(memtables, tables, sequence)
            const known = model.versions
              .slice(0, 4)
              .map(({ key }) => key.slice(0, directoryPrefixBytes(key[0], key.length)))
              .filter(prefix => prefix.length > 0 && prefix.some(byte => byte !== 0xff))
            for (const prefix of [...prefixes, ...known]) {
              const rows = visible(model, sequence, prefix)
              const scan = snapshot.cursor(prefix)
              walk(scan, rows, steps)
              verifyScans(scan, rows)
            }
            snapshot.release()
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  test('cursors that went back serve the next snapshot, while others are in use', () => {
    const tp = topicPartition(new Uint8Array(16).fill(9), 3)
    const versions = Array.from({ length: 200 }, (_, i): Version => {
      const isDelete = i % 9 === 8
      const value = isDelete ? new Uint8Array(0) : Uint8Array.of(i)
      return { key: keys.extent(tp, (i * 17) % 50).slice(), sequence: i + 1, isDelete, value }
    })
    const { memtables, tables, model } = sourcesOf(versions, [250, 500, 750], 2)
    assert.equal(memtables.length, 2)
    assert.equal(tables.level0.length, 2)
    const prefix = keys.extentPrefix(tp).slice()
    for (let sequence = 200; sequence > 0; sequence -= 7) {
      const snapshot = new Snapshot(memtables, tables, sequence)
      const rows = visible(model, sequence, prefix)
      const kept = snapshot.cursor(prefix)
      kept.seekFirst()
      verifyScans(snapshot.cursor(prefix), rows)
      assert.equal(textOf(kept.valid ? kept.key() : undefined), textOf(rows.at(0)?.key))
      verifyScans(kept, rows)
      snapshot.release()
      snapshot.release()
      // More than were given back: each has cursors of its own.
      const first = snapshot.cursor(prefix)
      snapshot.cursor(prefix)
      const second = snapshot.cursor(prefix)
      first.seekFirst()
      second.seekLast()
      const seen: string[] = []
      for (; first.valid && second.valid; first.next(), second.prev()) {
        seen.push(`${toHex(first.key())} ${toHex(second.key())}`)
        assert.ok(seen.length <= rows.length, 'two scans share a cursor')
      }
      const reversed = [...rows].reverse()
      assert.deepEqual(
        seen,
        rows.map((row, i) => `${toHex(row.key)} ${toHex(reversed[i].key)}`),
      )
      snapshot.release()
    }
  })

  test('without sources is empty', () => {
    const snapshot = new Snapshot([], versionOf([]), 5)
    assert.equal(snapshot.get(Uint8Array.of(1)), undefined)
    verifyScans(snapshot.cursor(Uint8Array.of(1)), [])
    snapshot.release()
  })
})
