/**
 * Goal: damaged bytes are CORRUPTION, never another error, a wrong row, an endless loop or a large
 * allocation. Method: every single-byte flip and every truncation of small files; then damage under
 * right checksums, as a faulty writer would leave it, where reading must end by itself.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter, getU32, getU64, putU32, putU64 } from '../../../src/codec/bytes.ts'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { putChecksum } from '../../../src/codec/table/table-checksum.ts'
import { TableCursor } from '../../../src/codec/table/table-cursor.ts'
import {
  DIRECTORY_LINE_BYTES,
  FOOTER_BYTES,
  TABLE_MAGIC,
} from '../../../src/codec/table/table-format.ts'
import { TableReader } from '../../../src/codec/table/table-reader.ts'
import {
  build,
  isCorrupt,
  NOTHING,
  open,
  type Row,
  sourceOf,
  textAt,
  textOf,
} from './table-rows.ts'

const ROWS: Row[] = Array.from({ length: 60 }, (_, i) => ({
  key: Uint8Array.of(1, i >> 4, i & 14),
  sequence: 500 - i,
  isDelete: i % 9 === 0,
  value: i % 9 === 0 ? NOTHING : new Uint8Array(i % 23).fill(i),
})).sort((a, b) => a.key[1] - b.key[1] || a.key[2] - b.key[2] || b.sequence - a.sequence)

const TEXTS: string[] = ROWS.map(textOf)

/** Opens, scans and asks everything; returns the rows. */
function readAll(bytes: Uint8Array): string[] {
  const reader = open(bytes)
  const cursor = new TableCursor(reader, i => reader.readBlock(i))
  const rows: string[] = []
  for (cursor.seekFirst(); cursor.valid; cursor.next()) rows.push(textAt(cursor))
  for (let i = 0; i < reader.blockCount; i++) {
    reader.timestampBounds(i)
    reader.blockRowCount(i)
  }
  for (const { key } of ROWS) {
    reader.mayContainKey(key)
    reader.mayContainPrefix(key)
    cursor.seekGE(key)
    cursor.seekLT(key)
    cursor.prev()
  }
  return rows
}

for (const compression of ['lz4', 'none'] as const) {
  const { bytes } = build(ROWS, { compression, blockBytes: 300 })

  test(`every flip of a byte of a table (${compression}) is CORRUPTION`, () => {
    assert.deepEqual(readAll(bytes), TEXTS)
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = bytes.slice()
        damaged[at] ^= flip
        assert.ok(
          isCorrupt(() => readAll(damaged)),
          `a flip of ${flip} at ${at} of ${bytes.length} was not noticed`,
        )
      }
    }
  })

  test(`every truncation and every extension of a table (${compression}) is CORRUPTION`, () => {
    for (let length = 0; length < bytes.length; length++) {
      assert.ok(
        isCorrupt(() => open(bytes.subarray(0, length))),
        `cut to ${length} bytes`,
      )
      assert.ok(
        isCorrupt(() => open(bytes.subarray(length + 1))),
        `without ${length + 1} bytes`,
      )
    }
    for (const extra of [1, 28, FOOTER_BYTES]) {
      assert.ok(isCorrupt(() => open(Uint8Array.from([...bytes, ...new Uint8Array(extra)]))))
    }
  })
}

test('a damaged block is named with its file and offset, and the others can be read', () => {
  const { bytes } = build(ROWS, { blockBytes: 300 })
  const reader = open(bytes)
  const damaged = bytes.slice()
  const last = reader.blockCount - 1
  // The last byte before the sections belongs to the last block.
  const sectionsOffset = getU64(bytes, getU64(bytes, bytes.length - FOOTER_BYTES) + 4)
  damaged[sectionsOffset - 1] ^= 1
  const other = open(damaged)
  for (let i = 0; i < last; i++) assert.deepEqual(other.readBlock(i), reader.readBlock(i))
  assert.throws(
    () => other.readBlock(last),
    (error: unknown) => {
      assert.ok(error instanceof MetastoreError)
      assert.equal(error.code, 'CORRUPTION')
      const details = error.details as { file: string; block: number; offset: number }
      assert.deepEqual([details.file, details.block], ['table.sst', last])
      assert.ok(details.offset > 0 && details.offset < sectionsOffset)
      assert.match(
        error.message,
        new RegExp(`^table.sst: block ${last}, offset ${details.offset}:`),
      )
      return true
    },
  )
})

test('a source that gives fewer bytes than asked is CORRUPTION', () => {
  const { bytes } = build(ROWS)
  const source = { ...sourceOf(bytes), read: () => NOTHING }
  assert.throws(() => TableReader.open(source, 'short.sst'), {
    code: 'CORRUPTION',
    message: /short/,
  })
})

test('an error of the source passes through unchanged', () => {
  const { bytes } = build(ROWS)
  const error = new Error('the disk is on fire')
  const read = (): never => {
    throw error
  }
  assert.throws(() => TableReader.open({ sizeBytes: bytes.length, read }, 'x'), error)
})

test('a size that no table has is CORRUPTION before anything is read', () => {
  const read = (): never => assert.fail('it was read')
  for (const sizeBytes of [-1, 0, FOOTER_BYTES - 1, 2 ** 30 + 1, 2 ** 60, Number.NaN]) {
    assert.ok(
      isCorrupt(() => TableReader.open({ sizeBytes, read }, 'x')),
      String(sizeBytes),
    )
  }
})

/** Makes every checksum right again, where the parts are still where they are said to be. */
function reseal(bytes: Uint8Array): void {
  const footer = bytes.length - FOOTER_BYTES
  const directory = getU64(bytes, footer)
  const directoryBytes = getU32(bytes, footer + 8)
  if (directory + directoryBytes <= footer) {
    for (let at = directory; at + DIRECTORY_LINE_BYTES <= footer; at += DIRECTORY_LINE_BYTES) {
      const start = getU64(bytes, at + 4)
      const end = start + getU64(bytes, at + 12)
      if (end <= directory) putChecksum(bytes, at + 20, bytes.subarray(start, end))
    }
    putChecksum(bytes, footer + 16, bytes.subarray(directory, directory + directoryBytes))
  }
  putChecksum(bytes, footer + 24, bytes.subarray(footer, footer + 24))
  bytes.set(TABLE_MAGIC, bytes.length - TABLE_MAGIC.length)
}

test('no damage to sections, directory and footer under right checksums escapes CORRUPTION', () => {
  const { bytes } = build(ROWS, { blockBytes: 300 })
  const sectionsOffset = getU64(bytes, getU64(bytes, bytes.length - FOOTER_BYTES) + 4)
  const metaBytes = bytes.length - sectionsOffset
  let corruptCount = 0
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.nat(metaBytes - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 255))),
        { minLength: 1, maxLength: 4 },
      ),
      damage => {
        const damaged = bytes.slice()
        for (const [at, byte] of damage) damaged[sectionsOffset + at] = byte
        reseal(damaged)
        if (isCorrupt(() => readAll(damaged))) corruptCount++
      },
    ),
    { numRuns: 3000 },
  )
  assert.ok(corruptCount > 1000, `only ${corruptCount}`)
})

/** The table with its sections edited, under right checksums. */
function withSections(
  bytes: Uint8Array,
  edit: (sections: { type: number; bytes: Uint8Array }[]) => void,
): Uint8Array {
  const footer = bytes.length - FOOTER_BYTES
  const directory = getU64(bytes, footer)
  const sections: { type: number; bytes: Uint8Array }[] = []
  for (let at = directory; at < footer; at += DIRECTORY_LINE_BYTES) {
    const start = getU64(bytes, at + 4)
    const end = start + getU64(bytes, at + 12)
    sections.push({ type: getU32(bytes, at), bytes: bytes.slice(start, end) })
  }
  const out = new ByteWriter().raw(bytes.subarray(0, getU64(bytes, directory + 4)))
  edit(sections)
  const lines = new ByteWriter()
  for (const section of sections) {
    lines.u32(section.type).u64(out.length).u64(section.bytes.length).u64(0)
    out.raw(section.bytes)
  }
  const directoryOffset = out.length
  out.raw(lines.view()).raw(bytes.subarray(footer))
  const file = out.take()
  putU64(file, file.length - FOOTER_BYTES, directoryOffset)
  putU32(file, file.length - FOOTER_BYTES + 8, lines.length)
  reseal(file)
  return file
}

test('a section of an unknown type is skipped, wherever it stands', () => {
  const { bytes } = build(ROWS, { blockBytes: 300 })
  for (const place of [0, 2, 5]) {
    const file = withSections(bytes, sections =>
      sections.splice(place, 0, { type: 4711, bytes: Uint8Array.of(1, 2, 3) }),
    )
    assert.deepEqual(readAll(file), TEXTS)
  }
})

test('a missing section, or one that stands there twice, is CORRUPTION', () => {
  const { bytes } = build(ROWS, { blockBytes: 300 })
  for (let i = 0; i < 5; i++) {
    assert.ok(isCorrupt(() => open(withSections(bytes, sections => sections.splice(i, 1)))))
    assert.ok(
      isCorrupt(() => open(withSections(bytes, sections => sections.push(sections[i])))),
      `section ${i} twice`,
    )
  }
})

test('a byte that is in no part of the file is CORRUPTION', () => {
  const { bytes } = build(ROWS, { blockBytes: 300 })
  const directory = getU64(bytes, bytes.length - FOOTER_BYTES)
  for (let i = 0; i < 5; i++) {
    // One byte before section i, and all that follows moved on by one.
    const start = getU64(bytes, directory + i * DIRECTORY_LINE_BYTES + 4)
    const file = new ByteWriter()
      .raw(bytes.subarray(0, start))
      .u8(0)
      .raw(bytes.subarray(start))
      .take()
    for (let line = i; line < 5; line++) {
      const at = directory + 1 + line * DIRECTORY_LINE_BYTES + 4
      putU64(file, at, getU64(file, at) + 1)
    }
    putU64(file, file.length - FOOTER_BYTES, directory + 1)
    reseal(file)
    assert.ok(
      isCorrupt(() => open(file)),
      `before section ${i}`,
    )
  }
})

test('a newer version is refused by name', () => {
  const bytes = build(ROWS).bytes.slice()
  putU32(bytes, bytes.length - FOOTER_BYTES + 12, 2)
  reseal(bytes)
  assert.throws(() => open(bytes), { code: 'CORRUPTION', message: /version 2 is not known/ })
})

test('an index that claims four billion blocks is refused without allocating for them', () => {
  const { bytes } = build(ROWS)
  const file = withSections(bytes, sections => putU32(sections[0].bytes, 0, 0xffffffff))
  const before = process.memoryUsage().arrayBuffers
  assert.ok(isCorrupt(() => open(file)))
  assert.ok(process.memoryUsage().arrayBuffers - before < 1e7)
})

test('compressed bytes that declare another size than the index are refused', () => {
  const rows = [{ key: NOTHING, sequence: 1, isDelete: false, value: new Uint8Array(2000) }]
  const { bytes } = build(rows)
  const file = withSections(bytes, sections => {
    const [{ bytes: index }] = sections
    putU32(index, 16, getU32(index, 16) + 1)
  })
  const reader = open(file)
  assert.throws(() => reader.readBlock(0), {
    code: 'CORRUPTION',
    message: /block 0, offset 0: LZ4/,
  })
})
