/**
 * Goal: the bytes of a segment's header never change by accident, those of older versions are read,
 * and nothing damaged decodes.
 * Method: golden bytes of each version; headers with one field that is wrong under a right checksum.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import {
  decodeLogRecord,
  emptyLogRecord,
  encodeLogRecord,
  LOG_RECORD_HEADER_BYTES,
  LOG_SEGMENT_HEADER,
  logRecordBytes,
} from '../../src/codec/log-format.ts'
import {
  type DecodedSegmentHeader,
  decodeSegmentHeader,
  encodeSegmentHeader,
  type LogSegmentHeader,
  parseSegmentName,
  segmentHeaderBytes,
  segmentName,
} from '../../src/codec/segment-header.ts'

const GROUP = { group: 1, term: 5, vote: 2, cutIndex: 100, cutTerm: 4, configuration: undefined }
const HEADER: LogSegmentHeader = {
  sequence: 2,
  previousEnd: 4000,
  sizeBytesMin: 1048576,
  groups: [
    { ...GROUP, configuration: { index: 99, bytes: Uint8Array.of(1, 2, 3) } },
    { ...GROUP, group: 2 },
  ],
}

const GOLDEN_V1 =
  '48000000eac6619c0100000000000000000000000000000000000000000000000000000000000000' +
  '574d4c47010000000200000000000000a00f00000000100001000000000000000100000000000000' +
  '0500000000000000020000000000000064000000000000000400000000000000'
const GOLDEN_V2 =
  '8800000093d8a8a70100000000000000000000000000000000000000000000000000000000000000' +
  '574d4c47020000000200000000000000a00f00000000100002000000000000000100000003000000' +
  '05000000000000000200000000000000640000000000000004000000000000006300000000000000' +
  '01020300000000000200000000000000050000000000000002000000000000006400000000000000' +
  '04000000000000000000000000000000'

function decoded(bytes: Uint8Array): DecodedSegmentHeader {
  const record = emptyLogRecord()
  assert.equal(decodeLogRecord(bytes, 0, bytes.length, record), bytes.length)
  return decodeSegmentHeader(bytes, record, 'x.log')
}

/** The record with this payload, its checksum right. */
function recordOf(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(logRecordBytes(payload.length))
  encodeLogRecord(bytes, 0, LOG_SEGMENT_HEADER, 0, 0, 0, 0, 0, payload)
  return bytes
}

test('a header has the golden bytes of version 2 and gives the state of the groups back', () => {
  const bytes = encodeSegmentHeader(HEADER)
  assert.equal(bytes.length, segmentHeaderBytes(HEADER.groups))
  assert.equal(toHex(bytes), GOLDEN_V2)
  assert.deepEqual(decoded(bytes), { ...HEADER, version: 2 })
})

test('the golden bytes of version 1 are read, as groups without a configuration', () => {
  const bytes = new Uint8Array(Buffer.from(GOLDEN_V1, 'hex'))
  assert.deepEqual(decoded(bytes), { ...HEADER, groups: [GROUP], version: 1 })
})

test('every header comes back from its bytes', () => {
  const number = fc.maxSafeNat()
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const plain = { noNullPrototype: true }
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 })
  const configuration = fc.option(fc.record({ index: number, bytes }, plain), { nil: undefined })
  const state = { term: number, vote: number, cutIndex: number, cutTerm: number, configuration }
  const groups = fc.array(fc.record({ group: u32, ...state }, plain), { maxLength: 5 })
  const header = fc.record({ sequence: number, previousEnd: u32, sizeBytesMin: u32, groups }, plain)
  fc.assert(
    fc.property(header, value => {
      assert.deepEqual(decoded(encodeSegmentHeader(value)), { ...value, version: 2 })
    }),
  )
})

test('a header with one field that is wrong is CORRUPTION naming the file', () => {
  const payload = encodeSegmentHeader(HEADER).subarray(LOG_RECORD_HEADER_BYTES)
  const wrong: [RegExp, number, number][] = [
    [/no header/, 0, 0x58],
    [/version 0/, 4, 0],
    [/version 3/, 4, 3],
    [/past 2\^53/, 15, 255],
    [/does not fit its 1 groups/, 24, 1],
    [/does not fit its 3 groups/, 24, 3],
    [/does not fit its 2 groups/, 36, 9],
    [/configuration of group 1 has 16711683 bytes/, 38, 255],
    [/past 2\^53/, 47, 255],
    [/past 2\^53/, 79, 255],
  ]
  for (const [message, at, byte] of wrong) {
    const damaged = payload.slice()
    damaged[at] = byte
    const details = { file: 'x.log', offset: 0 }
    assert.throws(() => decoded(recordOf(damaged)), { code: 'CORRUPTION', message, details })
  }
  for (let end = 0; end < payload.length; end++) {
    assert.throws(() => decoded(recordOf(payload.slice(0, end))), { code: 'CORRUPTION' })
  }
})

test('version 1 has no room for a configuration', () => {
  const bytes = new Uint8Array(Buffer.from(GOLDEN_V1, 'hex'))
  bytes[LOG_RECORD_HEADER_BYTES + 36] = 1
  const payload = bytes.slice(LOG_RECORD_HEADER_BYTES)
  assert.throws(() => decoded(recordOf(payload)), { code: 'CORRUPTION' })
})

test('only names of 20 digits are segments', () => {
  assert.equal(segmentName(7), '00000000000000000007.log')
  assert.equal(parseSegmentName(segmentName(7)), 7)
  for (const name of ['7.log', `${segmentName(7)}.new`, 'LOCK']) {
    assert.equal(parseSegmentName(name), null)
  }
})
