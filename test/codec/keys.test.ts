/**
 * Goal: keys have their golden bytes and sort, as bytes, in the order that reads rely on.
 * Method: a literal for every row type; properties that compare the order of keys with the order of
 * the fields in them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../src/codec/bytes.ts'
import {
  directoryPrefixBytes,
  filterPrefixBytes,
  getU32be,
  getU64be,
  hasPrefix,
  KEY_BYTES,
  KEY_BYTES_MAX,
  KeyBuilder,
  keyId,
  keyNumber,
  keyOfRecord,
  keyTopicPartition,
  prefixEnd,
  putU32be,
  putU64be,
  ROW_TYPE,
  TP_BYTES,
} from '../../src/codec/keys.ts'

const TOPIC = '00112233445566778899aabbccddeeff'
const TP = Uint8Array.from(Buffer.from(`${TOPIC}01020304`, 'hex'))
const ID = TP.subarray(0, 16)
const KIND = new TextEncoder().encode('kind')
const SAFE_MAX = Number.MAX_SAFE_INTEGER
const keys = new KeyBuilder()
/** Its keys are borrowed, so nothing else may use it. */
const golden = new KeyBuilder()

const GOLDEN: { type: keyof typeof ROW_TYPE; key: Uint8Array; hex: string }[] = [
  { type: 'partition', key: golden.partition(TP), hex: `00${TOPIC}01020304` },
  { type: 'extent', key: golden.extent(TP, SAFE_MAX), hex: `01${TOPIC}01020304001fffffffffffff` },
  { type: 'term', key: golden.term(TP, 258), hex: `02${TOPIC}010203040000000000000102` },
  { type: 'compaction', key: golden.compaction(TP), hex: `03${TOPIC}01020304` },
  { type: 'object', key: golden.object(ID), hex: `04${TOPIC}` },
  { type: 'removedTopic', key: golden.removedTopic(ID), hex: `05${TOPIC}` },
  { type: 'request', key: golden.request(ID), hex: `06${TOPIC}` },
  {
    type: 'record',
    key: golden.record(TP, KIND, Uint8Array.of(0, 255)),
    hex: `10${TOPIC}01020304046b696e6400ff`,
  },
]

test('every row type has its golden key', () => {
  assert.deepEqual(
    GOLDEN.map(({ type }) => type),
    Object.keys(ROW_TYPE),
  )
  for (const { type, key, hex } of GOLDEN) {
    assert.equal(toHex(key), hex)
    assert.equal(key[0], ROW_TYPE[type])
    if (type !== 'record') assert.equal(key.length, KEY_BYTES[type])
  }
})

test('prefixes are what the keys of their rows begin with', () => {
  assert.equal(toHex(keys.extentPrefix(TP)), `01${TOPIC}01020304`)
  assert.equal(toHex(keys.termPrefix(TP)), `02${TOPIC}01020304`)
  assert.equal(toHex(keys.topicPrefix(ROW_TYPE.partition, TP)), `00${TOPIC}`)
  assert.equal(toHex(keys.record(TP, KIND)), `10${TOPIC}01020304046b696e64`)
})

test('the longest key is that of a record', () => {
  const longest = keys.record(TP, new Uint8Array(64), new Uint8Array(4096))
  assert.equal(longest.length, KEY_BYTES_MAX)
})

test('what went into a key comes out of it', () => {
  const tp = fc.uint8Array({ minLength: TP_BYTES, maxLength: TP_BYTES })
  fc.assert(
    fc.property(tp, fc.maxSafeNat(), fc.uint8Array({ maxLength: 9 }), (at, number, own) => {
      const extent = keys.extent(at, number)
      assert.equal(keyNumber(extent), number)
      assert.deepEqual(keyTopicPartition(extent), at)
      assert.equal(keyNumber(keys.term(at, number)), number)
      assert.deepEqual(keyId(keys.object(at.subarray(0, 16))), at.subarray(0, 16))
      assert.deepEqual(keyOfRecord(keys.record(at, KIND, own)), own)
    }),
  )
})

interface Place {
  topic: number
  partition: number
  number: number
}

function place(): fc.Arbitrary<Place> {
  return fc.record({
    topic: fc.nat(0xffff),
    partition: fc.oneof(fc.nat(2), fc.nat(2 ** 31 - 1)),
    number: fc.oneof(fc.nat(300), fc.maxSafeNat()),
  })
}

function tpOf({ topic, partition }: Place): Uint8Array {
  const tp = new Uint8Array(TP_BYTES)
  putU32be(tp, 12, topic)
  putU32be(tp, 16, partition)
  return tp
}

/** Neighbours as well as strangers: the second place may share fields with the first. */
function pair(): fc.Arbitrary<[Place, Place]> {
  return fc
    .tuple(place(), place(), fc.boolean(), fc.boolean())
    .map(([a, b, sameTopic, samePartition]) => [
      a,
      {
        topic: sameTopic ? a.topic : b.topic,
        partition: samePartition ? a.partition : b.partition,
        number: b.number,
      },
    ])
}

test('rows sort by topic, partition and number', () => {
  fc.assert(
    fc.property(pair(), ([a, b]) => {
      const byPartition = Math.sign(a.topic - b.topic || a.partition - b.partition)
      const byNumber = byPartition === 0 ? Math.sign(a.number - b.number) : byPartition
      const order = (make: (own: KeyBuilder, at: Place) => Uint8Array): number =>
        Math.sign(compareBytes(make(new KeyBuilder(), a), make(new KeyBuilder(), b)))
      assert.equal(
        order((own, at) => own.partition(tpOf(at))),
        byPartition,
      )
      assert.equal(
        order((own, at) => own.extent(tpOf(at), at.number)),
        byNumber,
      )
      assert.equal(
        order((own, at) => own.term(tpOf(at), at.number)),
        byNumber,
      )
    }),
  )
})

test('records of one kind sort by their own keys, and kinds do not mix', () => {
  const bytes = fc.uint8Array({ maxLength: 5 })
  fc.assert(
    fc.property(bytes, bytes, fc.uint8Array({ minLength: 1, maxLength: 3 }), (a, b, kind) => {
      const [left, right] = [keys.record(TP, kind, a), keys.record(TP, kind, b)]
      assert.equal(Math.sign(compareBytes(left, right)), Math.sign(compareBytes(a, b)))
      const longer = Uint8Array.of(...kind, 0x61)
      assert.equal(hasPrefix(keys.record(TP, longer, a), keys.record(TP, kind)), false)
    }),
  )
})

test('big-endian numbers keep every bit', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.maxSafeNat(), (small, large) => {
      const bytes = new Uint8Array(12)
      putU32be(bytes, 0, small)
      putU64be(bytes, 4, large)
      assert.equal(getU32be(bytes, 0), small)
      assert.equal(getU64be(bytes, 4), large)
    }),
  )
})

test('a memtable directory spreads rows by partition, or by two bytes where there is none', () => {
  const expected = { object: 2, removedTopic: 2, request: 2 } as Record<string, number>
  for (const { type, key } of GOLDEN) {
    assert.equal(directoryPrefixBytes(key[0], key.length), expected[type] ?? 21, type)
    assert.equal(directoryPrefixBytes(key[0], 1), 1)
  }
})

test('table filters know the partitions of extents, terms and records only', () => {
  for (const { type, key } of GOLDEN) {
    const isFiltered = type === 'extent' || type === 'term' || type === 'record'
    assert.equal(filterPrefixBytes(key), isFiltered ? 21 : 0, type)
    assert.equal(filterPrefixBytes(key.subarray(0, 20)), 0)
  }
  assert.equal(filterPrefixBytes(new Uint8Array(0)), 0)
})

test('a key is below the end of a prefix and not below the prefix exactly when it has it', () => {
  const byte = fc.constantFrom(0, 1, 0x7f, 0xfe, 0xff)
  const bytes = fc.array(byte, { maxLength: 4 }).map(array => Uint8Array.from(array))
  fc.assert(
    fc.property(bytes, bytes, (prefix, key) => {
      const end = prefixEnd(prefix)
      const isBelowEnd = end === undefined || compareBytes(key, end) < 0
      assert.equal(isBelowEnd && compareBytes(key, prefix) >= 0, hasPrefix(key, prefix))
    }),
    { numRuns: 1000 },
  )
})

test('the end of a prefix is short, and there is none after 0xff alone', () => {
  assert.deepEqual(prefixEnd(Uint8Array.of(1, 0xff, 0xff)), Uint8Array.of(2))
  assert.equal(prefixEnd(Uint8Array.of(0xff, 0xff)), undefined)
  assert.equal(prefixEnd(new Uint8Array(0)), undefined)
})
