/**
 * Goal: the bytes of version 1 never change. Method: a small table as hex in golden-table.ts. LZ4
 * may compress otherwise one day and stay readable, so of a compressed table only the reading is
 * pinned.
 *
 * To change the format on purpose: make a new version (docs/table-format.md), keep the old golden
 * bytes for the readers, and take the new ones from the message of the failing test.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../../src/codec/bytes.ts'
import { TableCursor } from '../../../src/codec/table/table-cursor.ts'
import { GOLDEN_LZ4, GOLDEN_PLAIN, GOLDEN_ROWS } from './golden-table.ts'
import { build, OPTIONS, open, textAt, textOf } from './table-rows.ts'

const BLOCK_BYTES = 128

test('a table of version 1 is written as it always was', () => {
  const { bytes } = build(GOLDEN_ROWS, { compression: 'none', blockBytes: BLOCK_BYTES })
  assert.equal(toHex(bytes), GOLDEN_PLAIN)
})

for (const [name, hex] of [
  ['plain', GOLDEN_PLAIN],
  ['compressed', GOLDEN_LZ4],
]) {
  test(`a ${name} table of version 1 is read as it always was`, () => {
    const reader = open(Uint8Array.from(Buffer.from(hex, 'hex')))
    const cursor = new TableCursor(reader, i => reader.readBlock(i))
    const rows: string[] = []
    for (cursor.seekFirst(); cursor.valid; cursor.next()) rows.push(textAt(cursor))
    assert.deepEqual(rows, GOLDEN_ROWS.map(textOf))
    assert.equal(reader.blockCount, 2)
    assert.deepEqual(reader.properties.domain, OPTIONS.domain)
    assert.deepEqual(reader.timestampBounds(0), { least: -6, greatest: -5 })
    assert.equal(reader.mayContainPrefix(Uint8Array.of(1, 1)), true)
    assert.equal(reader.mayContainPrefix(Uint8Array.of(3, 3)), false)
  })
}
