/**
 * Goal: the bytes of the log never change by accident, and nothing damaged decodes.
 * Method: golden bytes of each record type, and every single-byte change of a record.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex } from '../../src/codec/bytes.ts'
import {
  decodeLogRecord,
  decodeVote,
  emptyLogRecord,
  encodeLogRecord,
  encodeVote,
  LOG_CONFIGURATION,
  LOG_CONFIGURATION_BYTES_MAX,
  LOG_CUT,
  LOG_CUT_DROPS_SUFFIX,
  LOG_ENTRY,
  LOG_HARD_STATE,
  LOG_PAYLOAD_BYTES_MAX,
  logRecordBytes,
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

test('a configuration has its golden bytes', () => {
  const bytes = encoded(LOG_CONFIGURATION, 0, 12, Uint8Array.of(1, 2, 3))
  assert.equal(
    toHex(bytes),
    '03000000057ea7520500000007000000001000000000000003000000000100000c00000000000000' +
      '0102030000000000',
  )
  const record = emptyLogRecord()
  assert.equal(decodeLogRecord(bytes, 0, bytes.length, record), 48)
  assert.deepEqual([record.type, record.index], [LOG_CONFIGURATION, 12])
})

test('a configuration of no bytes or more than the limit is not valid, nor is an unknown type', () => {
  const record = emptyLogRecord()
  const decodes = (type: number, payloadBytes: number): boolean => {
    const bytes = encoded(type, 0, 1, new Uint8Array(payloadBytes))
    return decodeLogRecord(bytes, 0, bytes.length, record) > 0
  }
  assert.ok(decodes(LOG_CONFIGURATION, 1))
  assert.ok(decodes(LOG_CONFIGURATION, LOG_CONFIGURATION_BYTES_MAX))
  assert.ok(!decodes(LOG_CONFIGURATION, 0))
  assert.ok(!decodes(LOG_CONFIGURATION, LOG_CONFIGURATION_BYTES_MAX + 1))
  assert.ok(!decodes(LOG_CONFIGURATION + 1, 1))
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
