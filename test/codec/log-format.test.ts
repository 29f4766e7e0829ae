/**
 * Goal: the bytes of the log never change by accident, and nothing damaged decodes.
 * Method: golden bytes of each record type, and every single-byte change of a record.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex } from '../../src/codec/bytes.ts'
import {
  decodeLogRecord,
  decodeSegmentHeader,
  decodeVote,
  emptyLogRecord,
  encodeLogRecord,
  encodeSegmentHeader,
  encodeVote,
  LOG_CUT,
  LOG_CUT_DROPS_SUFFIX,
  LOG_ENTRY,
  LOG_HARD_STATE,
  LOG_PAYLOAD_BYTES_MAX,
  logRecordBytes,
  parseSegmentName,
  segmentHeaderBytes,
  segmentName,
} from '../../src/codec/log-format.ts'

function encoded(type: number, kind: number, index: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(logRecordBytes(payload.length)).fill(255)
  encodeLogRecord(bytes, 0, type, kind, 7, 4096, 2 ** 40 + 3, index, payload)
  return bytes
}

const ENTRY = encoded(LOG_ENTRY, 9, 11, new TextEncoder().encode('hello'))

test('an entry has its golden bytes, padded with zeros to a multiple of 8', () => {
  assert.equal(
    toHex(ENTRY),
    '05000000e3ec9f420209000007000000001000000000000003000000000100000b00000000000000' +
      '68656c6c6f000000',
  )
})

test('a hard state has its golden bytes and gives the vote back', () => {
  const bytes = encoded(LOG_HARD_STATE, 0, 0, encodeVote(3))
  assert.equal(
    toHex(bytes),
    '08000000d30ded700300000007000000001000000000000003000000000100000000000000000000' +
      '0300000000000000',
  )
  const record = emptyLogRecord()
  assert.equal(decodeLogRecord(bytes, 0, bytes.length, record), 48)
  assert.equal(record.term, 2 ** 40 + 3)
  assert.equal(decodeVote(bytes, record), 3)
})

test('a cut has its golden bytes', () => {
  const bytes = encoded(LOG_CUT, LOG_CUT_DROPS_SUFFIX, 2 ** 53 - 1, new Uint8Array(0))
  assert.equal(
    toHex(bytes),
    '000000006fa540bc040100000700000000100000000000000300000000010000ffffffffffff1f00',
  )
  const record = emptyLogRecord()
  assert.equal(decodeLogRecord(bytes, 0, bytes.length, record), 40)
  assert.equal(record.index, 2 ** 53 - 1)
})

test('a segment header has its golden bytes and gives the state of the groups back', () => {
  const header = {
    sequence: 2,
    previousEnd: 4000,
    sizeBytesMin: 1048576,
    groups: [{ group: 1, term: 5, vote: 2, cutIndex: 100, cutTerm: 4 }],
  }
  const bytes = encodeSegmentHeader(header)
  assert.equal(bytes.length, segmentHeaderBytes(1))
  assert.equal(
    toHex(bytes),
    '48000000eac6619c0100000000000000000000000000000000000000000000000000000000000000' +
      '574d4c47010000000200000000000000a00f00000000100001000000000000000100000000000000' +
      '0500000000000000020000000000000064000000000000000400000000000000',
  )
  const record = emptyLogRecord()
  assert.equal(decodeLogRecord(bytes, 0, bytes.length, record), bytes.length)
  assert.deepEqual(decodeSegmentHeader(bytes, record, 'x.log'), header)
})

test('a header of another version is CORRUPTION naming the file', () => {
  const payload = new Uint8Array(32)
  payload.set([0x57, 0x4d, 0x4c, 0x47, 2])
  const bytes = encoded(1, 0, 0, payload)
  const record = emptyLogRecord()
  decodeLogRecord(bytes, 0, bytes.length, record)
  assert.throws(() => decodeSegmentHeader(bytes, record, 'x.log'), {
    code: 'CORRUPTION',
    details: { file: 'x.log', offset: 0 },
  })
})

test('no single flipped bit outside the padding leaves a valid record', () => {
  const record = emptyLogRecord()
  for (let at = 0; at < 45; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = ENTRY.slice()
      damaged[at] ^= 1 << bit
      assert.equal(decodeLogRecord(damaged, 0, damaged.length, record), 0, `byte ${at} bit ${bit}`)
    }
  }
})

test('a record cut anywhere before its payload ends is not valid', () => {
  const record = emptyLogRecord()
  for (let end = 0; end < 45; end++) assert.equal(decodeLogRecord(ENTRY, 0, end, record), 0)
  assert.equal(decodeLogRecord(ENTRY, 0, 45, record), 48)
})

test('a length past the limit is refused before the checksum is computed', () => {
  const bytes = ENTRY.slice()
  new DataView(bytes.buffer).setUint32(0, LOG_PAYLOAD_BYTES_MAX + 1, true)
  assert.equal(decodeLogRecord(bytes, 0, bytes.length, emptyLogRecord()), 0)
})

test('only names of 20 digits are segments', () => {
  assert.equal(segmentName(7), '00000000000000000007.log')
  assert.equal(parseSegmentName(segmentName(7)), 7)
  for (const name of ['7.log', `${segmentName(7)}.new`, 'LOCK']) {
    assert.equal(parseSegmentName(name), null)
  }
})
