/**
 * Goal: a table shows at a snapshot the newest versions that the snapshot sees, both ways and after
 * its cursors were used for other snapshots, and is never left out where it has rows.
 * Method: random versions in blocks of a few rows, compared with the sorted array at each sequence.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { hasPrefix, KeyBuilder } from '../../src/codec/keys.ts'
import {
  firstSequenceArbitrary,
  keyArbitrary,
  prefixArbitrary,
  rowsArbitrary,
  topicPartition,
  versionsOf,
} from './row-keys.ts'
import { tableOf } from './tables.ts'
import { type Version, VersionsModel } from './versions.ts'
import { verifyScans, walk, walkArbitrary } from './walk.ts'

const keys = new KeyBuilder()
const TP = topicPartition(new Uint8Array(16).fill(0xff), 0)
const blockBytesArbitrary = fc.constantFrom(64, 100, 400, 8192)

function modelOf(versions: readonly Version[]): VersionsModel {
  const model = new VersionsModel()
  for (const version of versions) model.add(version)
  return model
}

function textOf(value: Uint8Array | null | undefined): string {
  return value === undefined ? 'nothing' : value === null ? 'delete' : toHex(value)
}

function expectedText(version: Version | undefined): string {
  return version?.isDelete === true ? 'delete' : textOf(version?.value)
}

describe('a table', () => {
  test('walks at any snapshot as over the sorted array', () => {
    fc.assert(
      fc.property(
        rowsArbitrary,
        firstSequenceArbitrary,
        blockBytesArbitrary,
        walkArbitrary(keyArbitrary),
        fc.nat({ max: 260 }),
        (rows, firstSequence, blockBytes, steps, age) => {
          const model = modelOf(versionsOf(rows, firstSequence))
          const table = tableOf(model.versions, { blockBytes })
          const newest = Math.max(firstSequence, ...model.versions.map(v => v.sequence))
          for (const snapshot of [newest, Math.max(0, newest - age)]) {
            walk(table.borrowCursor(snapshot), model.at(snapshot), steps)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('gets of each key what each snapshot sees', () => {
    fc.assert(
      fc.property(
        rowsArbitrary,
        firstSequenceArbitrary,
        fc.array(keyArbitrary, { maxLength: 10 }),
        (rows, firstSequence, probes) => {
          const model = modelOf(versionsOf(rows, firstSequence))
          const table = tableOf(model.versions)
          for (const key of [...model.versions.map(version => version.key), ...probes]) {
            for (const snapshot of [0, firstSequence, firstSequence + 9, firstSequence + 400]) {
              const expected = expectedText(model.find(key, snapshot))
              assert.equal(textOf(table.get(key, snapshot)), expected)
            }
          }
        },
      ),
      { numRuns: 80 },
    )
  })

  test('passes over versions that are too new, both ways, over many blocks', () => {
    const versions: Version[] = []
    for (let offset = 0; offset < 12; offset++) {
      for (let i = 0; i < 40; i++) {
        const sequence = 1 + i * 12 + ((offset * 5) % 12)
        const isDelete = i % 7 === 6
        const value = isDelete ? new Uint8Array(0) : Uint8Array.of(offset, i, 1, 2, 3)
        versions.push({ key: keys.extent(TP, offset).slice(), sequence, isDelete, value })
      }
    }
    const model = modelOf(versions)
    const table = tableOf(model.versions, { blockBytes: 64 })
    for (let snapshot = 0; snapshot <= 481; snapshot += 5) {
      const cursor = table.borrowCursor(snapshot)
      const rows = model.at(snapshot)
      verifyScans(cursor, rows)
      const turns = rows.flatMap(({ key }) => [
        { move: 'seek', key } as const,
        { move: 'prev' } as const,
        { move: 'next' } as const,
        { move: 'next' } as const,
        { move: 'prev' } as const,
        { move: 'prev' } as const,
      ])
      walk(cursor, rows, turns)
      table.giveBack(cursor)
    }
  })

  test('a cursor that was given back is the next one, and starts nowhere', () => {
    const model = modelOf(
      [1, 2, 3, 4].map(i => ({
        key: keys.extent(TP, i).slice(),
        sequence: i,
        isDelete: false,
        value: Uint8Array.of(i),
      })),
    )
    const table = tableOf(model.versions, { blockBytes: 64 })
    const first = table.borrowCursor(4)
    const other = table.borrowCursor(2)
    assert.notEqual(first, other)
    verifyScans(first, model.at(4))
    first.seekBefore(keys.extent(TP, 3))
    table.giveBack(first)
    const again = table.borrowCursor(2)
    assert.equal(again, first)
    assert.equal(again.valid, false)
    verifyScans(again, model.at(2))
    verifyScans(other, model.at(2))
  })

  test('may hold a prefix whenever it does', () => {
    fc.assert(
      fc.property(rowsArbitrary, prefixArbitrary, (rows, prefix) => {
        const model = modelOf(versionsOf(rows, 1))
        const holds = model.versions.some(version => hasPrefix(version.key, prefix))
        // The other way round it may err.
        const table = tableOf(model.versions)
        if (holds) assert.equal(table.mayHoldPrefix(prefix), true)
        for (const { key } of model.versions) assert.equal(table.mayHoldPrefix(key), true)
      }),
      { numRuns: 60 },
    )
  })

  test('is left out where its keys end, and where its filter knows better', () => {
    const version = { sequence: 1, isDelete: false, value: Uint8Array.of(1) }
    const near = (partition: number) => topicPartition(new Uint8Array(16).fill(5), partition)
    const even = Array.from({ length: 100 }, (_, i) => keys.extent(near(i * 2), 0).slice())
    const table = tableOf(even.map(key => ({ ...version, key })))
    assert.equal(table.mayHoldPrefix(keys.extentPrefix(near(1000))), false)
    assert.equal(table.mayHoldPrefix(keys.termPrefix(near(0))), false)
    assert.equal(table.mayHoldPrefix(keys.partition(near(0))), false)
    let passed = 0
    for (let i = 0; i < 99; i++) {
      if (table.mayHoldPrefix(keys.extentPrefix(near(i * 2 + 1)))) passed++
    }
    assert.ok(passed < 20, `the filter passes ${passed} of 99 prefixes that are not there`)
  })

  test('without rows shows none', () => {
    const table = tableOf([])
    assert.equal(table.get(keys.extent(TP, 1), 9), undefined)
    assert.equal(table.mayHoldPrefix(keys.extentPrefix(TP)), false)
    verifyScans(table.borrowCursor(9), [])
  })
})
