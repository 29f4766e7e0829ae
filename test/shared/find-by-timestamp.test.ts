/**
 * Goal: the search for a timestamp finds the row that a plain scan would, whatever newer sources
 * have replaced or deleted, and reads few blocks of a long partition.
 * Method: random versions cut into memtables and levels, against the sorted array; a partition of
 * 100 000 extents over several levels, where the blocks that each query reads are counted.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter, compareBytes, toHex } from '../../src/codec/bytes.ts'
import { hasPrefix, KeyBuilder } from '../../src/codec/keys.ts'
import {
  encodeExtent,
  encodeObject,
  encodePartition,
  extentTimestamp,
  OBJECT_STATE,
} from '../../src/codec/rows.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { READS } from '../../src/shared/reads/index.ts'
import { Snapshot } from '../../src/shared/snapshot.ts'
import type { TableHandle } from '../../src/shared/tables/table-handle.ts'
import type { Version as TableVersion } from '../../src/shared/version.ts'
import { Random } from './random.ts'
import { insert, topicPartition } from './row-keys.ts'
import { levelOf, tableOf, versionOf } from './tables.ts'
import { compareVersions, type Version, VersionsModel } from './versions.ts'

const keys = new KeyBuilder()
const TPS = [0, 1, 2].map(partition => topicPartition(new Uint8Array(16).fill(7), partition))
const TP = TPS[1]

/** A row's first byte is its timestamp; the others have none. */
function timestampOf(_key: Uint8Array, value: Uint8Array): number | undefined {
  return value.length > 1 ? value[0] : undefined
}

interface Sources {
  memtables: Memtable[]
  tables: TableVersion
  model: VersionsModel
}

const versionArbitrary = fc.record({
  tp: fc.constantFrom(...TPS, TP, TP),
  offset: fc.nat({ max: 40 }),
  timestamp: fc.nat({ max: 30 }),
  kind: fc.constantFrom('delete', 'none', 'row', 'row', 'row', 'row'),
})

const sourcesArbitrary: fc.Arbitrary<Sources> = fc
  .tuple(
    fc.array(versionArbitrary, { minLength: 1, maxLength: 150, size: 'max' }),
    fc.array(fc.nat({ max: 150 }), { minLength: 5, maxLength: 5 }),
    fc.integer({ min: 1, max: 6 }),
  )
  .map(([rows, cuts, tableCount]) => {
    const model = new VersionsModel()
    const parts = Array.from({ length: 6 }, () => new VersionsModel())
    for (const [i, { tp, offset, timestamp, kind }] of rows.entries()) {
      const value = kind === 'delete' ? [] : kind === 'none' ? [timestamp] : [timestamp, i]
      const version: Version = {
        key: keys.extent(tp, offset).slice(),
        sequence: i + 1,
        isDelete: kind === 'delete',
        value: Uint8Array.from(value),
      }
      model.add(version)
      parts[cuts.filter(cut => i < cut).length].add(version)
    }
    // Newest first: two memtables, two tables of level 0, two levels.
    const memtables = parts.slice(0, 2).map(({ versions }) => {
      const memtable = new Memtable(new SharedArrayBuffer(262_144))
      const inserted = [...versions].sort((a, b) => a.sequence - b.sequence)
      for (const version of inserted) assert.ok(insert(memtable, version))
      return memtable
    })
    const handles = parts.slice(2).flatMap(({ versions }, i) => {
      if (versions.length === 0) return []
      const options = { timestampOf, blockBytes: 100 }
      return i < 2 ? [tableOf(versions, options)] : levelOf(versions, i - 1, tableCount, options)
    })
    return { memtables, tables: versionOf(handles), model }
  })

describe('the first row that reaches a timestamp', () => {
  test('is the one that a plain scan finds', () => {
    let found = 0
    fc.assert(
      fc.property(
        sourcesArbitrary,
        fc.nat({ max: 150 }),
        fc.array(fc.tuple(fc.nat({ max: 42 }), fc.nat({ max: 32 })), {
          minLength: 20,
          maxLength: 20,
        }),
        ({ memtables, tables, model }, age, queries) => {
          for (const sequence of [
            model.versions.length,
            Math.max(1, model.versions.length - age),
          ]) {
            const rows = model.at(sequence).filter(({ isDelete }) => !isDelete)
            const snapshot = new Snapshot(memtables, tables, sequence)
            for (const [i, [offset, timestamp]] of queries.entries()) {
              const tp = TPS[i % 4 === 0 ? (i / 4) % 3 : 1]
              const [prefix, from] = [
                keys.extentPrefix(tp).slice(),
                keys.extent(tp, offset).slice(),
              ]
              const expected = rows.find(
                ({ key, value }) =>
                  hasPrefix(key, prefix) &&
                  compareBytes(key, from) >= 0 &&
                  (timestampOf(key, value) ?? -1) >= timestamp,
              )
              const row = snapshot.firstReaching(prefix, from, timestamp, timestampOf)
              assert.equal(row && toHex(row.key), expected && toHex(expected.key))
              assert.equal(row && toHex(row.value), expected && toHex(expected.value))
              if (row !== undefined) found++
            }
            snapshot.release()
          }
        },
      ),
      { numRuns: 150 },
    )
    assert.ok(found > 500, `${found} were found`)
  })
})

const EXTENTS = 100_000
const EXTENT_OFFSETS = 10
const OBJECTS = 50
const BLOCKS_MAX = 8
/** Extents that a timestamp may be out of its place by. */
const DISORDER = 300

const out = new ByteWriter()

function extentVersion(i: number, random: Random, objects: readonly Uint8Array[]): Version {
  const baseOffset = i * EXTENT_OFFSETS
  const value = encodeExtent(out, {
    lastOffset: baseOffset + EXTENT_OFFSETS - 1,
    maxTimestamp: timestamps[i],
    position: random.below(1_000_000),
    sizeBytes: random.below(100_000),
    objectId: objects[random.below(OBJECTS)],
  })
  const key = keys.extent(TP, baseOffset)
  return { key: key.slice(), sequence: i + 1, isDelete: false, value: value.slice() }
}

const order = new Random(17)
/** Ten a place, mostly; a hundredth are far out of it. */
const timestamps: readonly number[] = Array.from({ length: EXTENTS }, (_, i) => {
  const place = 1_000_000 + i * 10
  const shift = (order.below(2 * DISORDER) - DISORDER) * 10
  return order.below(100) === 0 ? place - order.below(900_000) : place + shift
})

interface Partition {
  view: Snapshot
  /** Blocks read since it was asked last; one that is read again comes from the block cache. */
  takeReads: () => number
}

/** @param deleted so many of the first extents are deleted, by rows in the upper sources */
function partitionOf(deleted: number): Partition {
  const random = new Random(23)
  const blocks = new Set<string>()
  const options = {
    blockBytes: 8192,
    timestampOf: extentTimestamp,
    onBlock: (block: number, table: TableHandle) => {
      blocks.add(`${table.name} ${block}`)
    },
  }
  const ids = Array.from({ length: OBJECTS }, () =>
    Uint8Array.from({ length: 16 }, () => random.below(256)),
  )
  const extents = timestamps.map((_, i) => extentVersion(i, random, ids))
  const objects = ids.map((id): Version => {
    const value = encodeObject(out, {
      state: OBJECT_STATE.committed,
      footerPosition: 1,
      sizeBytes: 2,
      totalDataBytes: 3,
      removedDataBytes: 0,
      liveExtents: 1,
      updatedAt: 4,
      contentHash: [0, 0],
      corrections: [],
    })
    return { key: keys.object(id).slice(), sequence: 1, isDelete: false, value: value.slice() }
  })
  let sequence = EXTENTS
  const deletes = extents.slice(0, deleted).map(({ key }): Version => {
    return { key, sequence: ++sequence, isDelete: true, value: new Uint8Array(0) }
  })
  const row = encodePartition(out, {
    startOffset: deleted * EXTENT_OFFSETS,
    nextOffset: EXTENTS * EXTENT_OFFSETS,
    compactionEpoch: 0,
    sizeBytes: 1,
    extentCount: EXTENTS - deleted,
  })
  const partition: Version = {
    key: keys.partition(TP).slice(),
    sequence: ++sequence,
    isDelete: false,
    value: row.slice(),
  }
  const share = (from: number, to: number): Version[] => extents.slice(EXTENTS * from, EXTENTS * to)
  const inOrder = (versions: Version[]): Version[] => versions.sort(compareVersions)
  const memtable = new Memtable(new SharedArrayBuffer(8 * 1024 * 1024))
  for (const version of [...share(0.97, 1), partition]) assert.ok(insert(memtable, version))
  const third = Math.floor(deleted / 3)
  const tables = versionOf([
    tableOf(inOrder([...share(0.94, 0.97), ...deletes.slice(2 * third)]), options),
    tableOf(inOrder([...share(0.9, 0.94), ...deletes.slice(third, 2 * third)]), options),
    ...levelOf(inOrder([...share(0.7, 0.9), ...deletes.slice(0, third)]), 1, 3, options),
    ...levelOf(inOrder([...share(0, 0.7), ...objects]), 2, 8, options),
  ])
  const takeReads = (): number => {
    const { size } = blocks
    blocks.clear()
    return size
  }
  return { view: new Snapshot([memtable], tables, sequence), takeReads }
}

/** The base offset of the answer; undefined when no extent reaches the timestamp. */
function find(view: Snapshot, timestamp: number, minOffset: number): number | undefined {
  const [query, answer] = [new ByteWriter(), new ByteWriter()]
  READS.findByTimestamp.encode(query, { tp: TP, timestamp, minOffset })
  try {
    READS.findByTimestamp.answer(view, new ByteReader(query.take(), 'query'), answer)
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'OUT_OF_RANGE', String(error))
    return undefined
  } finally {
    view.release()
  }
  return READS.findByTimestamp.decode(new ByteReader(answer.take(), 'answer')).baseOffset
}

function expectedFor(timestamp: number, minOffset: number, deleted: number): number | undefined {
  let i = Math.max(deleted, Math.floor(minOffset / EXTENT_OFFSETS))
  while (i < EXTENTS && timestamps[i] < timestamp) i++
  return i < EXTENTS ? i * EXTENT_OFFSETS : undefined
}

describe('findByTimestamp in a partition of 100 000 extents', () => {
  for (const deleted of [0, 90_000]) {
    test(`reads at most ${BLOCKS_MAX} blocks, the first ${deleted} extents deleted`, () => {
      const { view, takeReads } = partitionOf(deleted)
      const random = new Random(29)
      const latest = timestamps.reduce((a, b) => Math.max(a, b))
      const queries = Array.from({ length: 500 }, () => random.below(latest + 10_000))
      let most = 0
      for (const [i, timestamp] of [0, 1, latest, latest + 1, ...queries].entries()) {
        const minOffset = i % 3 === 2 ? random.below(EXTENTS * EXTENT_OFFSETS) : 0
        const found = find(view, timestamp, minOffset)
        const blocks = takeReads()
        most = Math.max(most, blocks)
        const what = `${timestamp} from ${minOffset} on`
        assert.equal(found, expectedFor(timestamp, minOffset, deleted), what)
        assert.ok(blocks <= BLOCKS_MAX, `${blocks} blocks for ${what}`)
      }
      assert.ok(most > 1, 'no query came to the tables')
    })
  }
})
