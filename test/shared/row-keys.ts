/** Row keys of every type, few enough that tests meet the same ones again. */
import fc from 'fast-check'
import { KeyBuilder, ROW_TYPE } from '../../src/codec/keys.ts'
import type { Memtable } from '../../src/shared/memtable.ts'
import type { Version } from './versions.ts'

const keys = new KeyBuilder()

/** Ids at the ends of what bytes can be, and in between. */
const IDS: readonly Uint8Array[] = [
  new Uint8Array(16),
  new Uint8Array(16).fill(0xff),
  Uint8Array.from({ length: 16 }, (_, i) => (i * 37 + 11) & 0xff),
  Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0)),
]
const PARTITIONS: readonly number[] = [0, 1, 255, 256, 2 ** 31 - 1]
/** Both sides of the places where a word or the safe integers end. */
const NUMBERS: readonly number[] = [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2]

/** A topic partition's 20 bytes. */
export function topicPartition(topic: Uint8Array, partition: number): Uint8Array {
  const bytes = new Uint8Array(20)
  bytes.set(topic)
  new DataView(bytes.buffer).setUint32(16, partition)
  return bytes
}

const idArbitrary = fc.constantFrom(...IDS)
export const tpArbitrary: fc.Arbitrary<Uint8Array> = fc
  .tuple(idArbitrary, fc.constantFrom(...PARTITIONS))
  .map(([topic, partition]) => topicPartition(topic, partition))
const numberArbitrary = fc.oneof(fc.constantFrom(...NUMBERS), fc.nat({ max: 20 }))

/** Zero bytes at their ends, and long enough to differ only past two words. */
const recordKeyArbitrary = fc.oneof(
  fc.array(fc.constantFrom(0, 1, 0xff), { maxLength: 6 }).map(bytes => Uint8Array.from(bytes)),
  fc
    .array(fc.constantFrom(0, 1, 0xff), { maxLength: 5 })
    .map(bytes => Uint8Array.from([7, 7, 7, 7, 7, 7, 7, 7, 7, ...bytes])),
)

const wholeKeyArbitrary: fc.Arbitrary<Uint8Array> = fc.oneof(
  tpArbitrary.map(tp => keys.partition(tp).slice()),
  fc.tuple(tpArbitrary, numberArbitrary).map(([tp, base]) => keys.extent(tp, base).slice()),
  fc.tuple(tpArbitrary, numberArbitrary).map(([tp, term]) => keys.term(tp, term).slice()),
  tpArbitrary.map(tp => keys.compaction(tp).slice()),
  idArbitrary.map(id => keys.object(id).slice()),
  idArbitrary.map(id => keys.removedTopic(id).slice()),
  idArbitrary.map(id => keys.request(id).slice()),
  fc
    .tuple(tpArbitrary, fc.constantFrom('', 'k', 'group\0'), recordKeyArbitrary)
    .map(([tp, kind, key]) => keys.record(tp, Buffer.from(kind), key)),
)

/** Also keys that are shorter than their list's prefix, down to none at all. */
export const keyArbitrary: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: wholeKeyArbitrary },
  {
    weight: 1,
    arbitrary: fc
      .tuple(wholeKeyArbitrary, fc.nat({ max: 24 }))
      .map(([key, length]) => key.slice(0, length)),
  },
)

/** What scans are asked for: lists' prefixes, and shorter ones that span many lists. */
export const prefixArbitrary: fc.Arbitrary<Uint8Array> = fc.oneof(
  tpArbitrary.map(tp => keys.extentPrefix(tp).slice()),
  tpArbitrary.map(tp => keys.termPrefix(tp).slice()),
  tpArbitrary.map(tp => Uint8Array.from([ROW_TYPE.record, ...tp])),
  fc
    .tuple(tpArbitrary, fc.constantFrom('', 'k', 'group\0'))
    .map(([tp, kind]) => keys.record(tp, Buffer.from(kind))),
  fc
    .tuple(fc.constantFrom(...Object.values(ROW_TYPE)), idArbitrary)
    .map(([type, topic]) => keys.topicPrefix(type, topic).slice()),
  fc.constantFrom(...Object.values(ROW_TYPE)).map(type => Uint8Array.of(type)),
  fc.constant(keys.object(IDS[1]).slice(0, 2)),
)

const valueArbitrary = fc.oneof(
  fc.constant(new Uint8Array(0)),
  fc.uint8Array({ minLength: 1, maxLength: 9 }),
  // Past the length where copying is done in another way.
  fc.uint8Array({ minLength: 300, maxLength: 300 }).map(bytes => bytes.fill(bytes[0])),
)

/** A row without its sequence, which depends on the rows before it. */
export interface Row {
  key: Uint8Array
  isDelete: boolean
  value: Uint8Array
  /** How far its sequence is above that of the row before it; 0: the same batch. */
  step: number
}

export const rowsArbitrary: fc.Arbitrary<Row[]> = fc.array(
  fc
    .record({
      key: keyArbitrary,
      isDelete: fc.boolean(),
      value: valueArbitrary,
      step: fc.constantFrom(0, 1, 1, 1, 5),
    })
    .map(row => (row.isDelete ? { ...row, value: new Uint8Array(0) } : row)),
  { maxLength: 120, size: 'max' },
)

/** Sequences around the place where their low word overflows. */
export const firstSequenceArbitrary: fc.Arbitrary<number> = fc.constantFrom(
  1,
  2 ** 32 - 20,
  2 ** 40 + 7,
)

/** Keeps the first of the rows with one key in one batch. */
export function versionsOf(rows: readonly Row[], firstSequence: number): Version[] {
  const versions: Version[] = []
  const seen = new Set<string>()
  let sequence = firstSequence
  for (const { key, isDelete, value, step } of rows) {
    sequence += step
    const name = `${sequence} ${Buffer.from(key).toString('hex')}`
    if (seen.has(name)) continue
    seen.add(name)
    versions.push({ key, sequence, isDelete, value })
  }
  return versions
}

export function insert(memtable: Memtable, { key, sequence, isDelete, value }: Version): boolean {
  // Key and value from the middle of larger arrays, as they come out of a batch.
  const bytes = Uint8Array.from([1, 2, 3, ...key, 4, ...value, 5])
  const valueStart = key.length + 4
  return memtable.insert(bytes, 3, key.length, sequence, isDelete, bytes, valueStart, value.length)
}
