/**
 * Goal: a memtable finds of every key the version that a snapshot sees, keeps its lists through
 * every growth, and never promises room that it has not.
 * Method: random rows of all types against a sorted array of versions; thousands of prefixes and
 * long lists; and batches near the end of small memtables, whose promises are kept to the word.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { directoryPrefixBytes, KeyBuilder } from '../../src/codec/keys.ts'
import { MEMTABLE_BYTES_MIN, Memtable } from '../../src/shared/memtable.ts'
import { MemtableCursor } from '../../src/shared/memtable-cursor.ts'
import { SearchKey } from '../../src/shared/skip-list.ts'
import { Random, shuffled } from './random.ts'
import {
  firstSequenceArbitrary,
  insert,
  keyArbitrary,
  rowsArbitrary,
  topicPartition,
  versionsOf,
} from './row-keys.ts'
import { type Version, VersionsModel } from './versions.ts'
import { verifyScans } from './walk.ts'

const keys = new KeyBuilder()
const search = new SearchKey()
const NOTHING = new Uint8Array(0)
const TOPIC = Uint8Array.from({ length: 16 }, (_, i) => 200 - i)
const TP = topicPartition(TOPIC, 1)

function create(bytes = 1_048_576): Memtable {
  return new Memtable(new SharedArrayBuffer(bytes))
}

function row(key: Uint8Array, sequence: number, value: Uint8Array = NOTHING): Version {
  return { key: key.slice(), sequence, isDelete: false, value }
}

function found(memtable: Memtable, key: Uint8Array, sequence: number): string {
  const node = memtable.find(key, sequence, search)
  if (node === 0) return 'nothing'
  const { list } = memtable
  const version = { sequence: list.sequenceOf(node), isDelete: list.isDelete(node) }
  return textOf({ key, ...version, value: memtable.value(node) })
}

function textOf(version: Version | undefined): string {
  if (version === undefined) return 'nothing'
  return `@${version.sequence} ${version.isDelete ? 'delete' : ''} ${toHex(version.value)}`
}

function totals(rows: readonly Version[]): [rows: number, keyBytes: number, valueBytes: number] {
  let keyBytes = 0
  let valueBytes = 0
  for (const { key, value } of rows) {
    keyBytes += key.length
    valueBytes += value.length
  }
  return [rows.length, keyBytes, valueBytes]
}

describe('a memtable', () => {
  test('is empty at first', () => {
    const memtable = create(MEMTABLE_BYTES_MIN)
    assert.equal(memtable.rowCount, 0)
    assert.equal(memtable.firstList, 0)
    assert.equal(memtable.lastList, 0)
    assert.equal(found(memtable, keys.extent(TP, 1), 10), 'nothing')
    verifyScans(new MemtableCursor(memtable, 10), [])
  })

  test('finds what the sorted array of versions holds, at every snapshot', () => {
    fc.assert(
      fc.property(
        rowsArbitrary,
        firstSequenceArbitrary,
        fc.array(keyArbitrary, { maxLength: 10 }),
        (rows, firstSequence, probes) => {
          const memtable = create()
          const model = new VersionsModel()
          const versions = versionsOf(rows, firstSequence)
          for (const version of versions) {
            assert.equal(insert(memtable, version), true)
            model.add(version)
            assert.equal(found(memtable, version.key, version.sequence), textOf(version))
          }
          assert.equal(memtable.rowCount, versions.length)
          const sequences = [0, firstSequence, ...versions.map(({ sequence }) => sequence)]
          for (const key of [...versions.map(version => version.key), ...probes]) {
            for (const sequence of sequences) {
              const expected = textOf(model.find(key, sequence))
              assert.equal(found(memtable, key, sequence), expected)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('copies the bytes it is given', () => {
    const memtable = create()
    const key = keys.object(TOPIC).slice()
    const value = Uint8Array.of(1, 2, 3)
    const kept = key.slice()
    memtable.insert(key, 0, key.length, 1, false, value, 0, value.length)
    key.fill(0xaa)
    value.fill(0xaa)
    assert.equal(found(memtable, kept, 1), textOf(row(kept, 1, Uint8Array.of(1, 2, 3))))
  })

  test('is the same to whoever maps its memory later', () => {
    const memtable = create()
    const model = new VersionsModel()
    for (let i = 0; i < 400; i++) {
      const version = row(keys.extent(topicPartition(TOPIC, i % 9), i), i + 1, Uint8Array.of(i))
      insert(memtable, version)
      model.add(version)
    }
    const other = new Memtable(memtable.memory)
    assert.equal(other.rowCount, 400)
    assert.equal(other.usedBytes, memtable.usedBytes)
    verifyScans(new MemtableCursor(other, 400), model.at(400))
    // Whoever goes on writing there, as after a restart of the writer's thread, goes on at the end.
    const more = row(keys.extent(TP, 99_999), 401, Uint8Array.of(7))
    assert.equal(insert(other, more), true)
    assert.equal(found(memtable, more.key, 401), textOf(more))
    assert.equal(found(memtable, model.versions[0].key, 401), textOf(model.versions[0]))
  })

  test('keeps thousands of prefixes while its hash table and directory grow', () => {
    const memtable = create(4_194_304)
    const model = new VersionsModel()
    const partitions = shuffled(
      Array.from({ length: 4000 }, (_, i) => i * 3),
      5,
    )
    for (const [i, partition] of partitions.entries()) {
      const tp = topicPartition(TOPIC, partition)
      const version = row(keys.extent(tp, partition), i + 1, Uint8Array.of(i, i >>> 8))
      assert.equal(insert(memtable, version), true)
      model.add(version)
      // One of before, whose slot may just have moved.
      const other = model.versions[(i * 7919) % model.versions.length]
      assert.equal(found(memtable, other.key, i + 1), textOf(other))
    }
    for (const partition of partitions) {
      const tp = topicPartition(TOPIC, partition + 1)
      assert.equal(found(memtable, keys.extent(tp, partition), 9999), 'nothing')
      assert.equal(memtable.findList(search.set(keys.extentPrefix(tp), 0, 21)), 0)
    }
    for (const { key, sequence, value } of model.versions) {
      assert.equal(found(memtable, key, 4000), textOf(row(key, sequence, value)))
      assert.equal(found(memtable, key, sequence - 1), 'nothing')
    }
    verifyScans(new MemtableCursor(memtable, 4000), model.at(4000))
  })

  test('lists stand in the order of their prefixes', () => {
    const memtable = create()
    const names = new Set<string>()
    for (const version of versionsOf(
      fc.sample(rowsArbitrary, { seed: 9, numRuns: 20 }).flat(),
      1,
    )) {
      insert(memtable, version)
      const length = directoryPrefixBytes(version.key[0], version.key.length)
      names.add(toHex(version.key.subarray(0, length)))
    }
    const seen: string[] = []
    let last = 0
    for (let node = memtable.firstList; node !== 0; node = memtable.list.next(node)) {
      const name = new Uint8Array(memtable.list.keyLength(node))
      memtable.list.keyBytesInto(node, name, 0)
      seen.push(toHex(name))
      assert.notEqual(memtable.firstNode(node), 0)
      assert.notEqual(memtable.lastNode(node), 0)
      assert.equal(memtable.findList(search.set(name, 0, name.length)), node)
      assert.equal(memtable.seekList(search.set(name, 0, name.length)), node)
      assert.equal(memtable.seekListBefore(search.set(name, 0, name.length)), last)
      last = node
    }
    assert.deepEqual(seen, [...names].sort())
    assert.equal(memtable.lastList, last)
  })

  test('finds all rows of a long list while its head and its index grow', () => {
    const memtable = create(8_388_608)
    const random = new Random(4)
    const offsets = shuffled(
      Array.from({ length: 5000 }, (_, i) => i),
      6,
    )
    for (const [i, offset] of offsets.entries()) {
      insert(memtable, row(keys.extent(TP, offset), i + 1, Uint8Array.of(offset, offset >>> 8)))
      for (let probes = 0; probes < 3; probes++) {
        const at = random.below(offsets.length)
        const expected =
          at <= i
            ? textOf(row(NOTHING, at + 1, Uint8Array.of(offsets[at], offsets[at] >>> 8)))
            : 'nothing'
        assert.equal(found(memtable, keys.extent(TP, offsets[at]), i + 1), expected)
      }
    }
  })
})

describe('room in a memtable', () => {
  /** A row of a batch near the end. */
  interface Part {
    partition: number
    offset: number
    kind: string
    valueBytes: number
  }

  const partArbitrary: fc.Arbitrary<Part> = fc.record({
    partition: fc.oneof(fc.constant(0), fc.nat({ max: 3 }), fc.nat({ max: 5000 })),
    offset: fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 100_000 })),
    kind: fc.constantFrom('extent', 'extent', 'term', 'object', 'record'),
    valueBytes: fc.oneof(
      fc.nat({ max: 9 }),
      fc.nat({ max: 400 }),
      fc.constantFrom(5000, 20_000, 100_000),
    ),
  })

  /** The more rows a batch has, the more of its promise is left over: few matter as much. */
  const batchArbitrary = fc.oneof(
    fc.array(partArbitrary, { minLength: 1, maxLength: 3 }),
    fc.array(partArbitrary, { minLength: 1, maxLength: 40, size: 'max' }),
  )
  const batchesArbitrary = fc.oneof(
    fc.array(batchArbitrary, { minLength: 1, maxLength: 2 }),
    fc.array(batchArbitrary, { minLength: 5, maxLength: 60, size: 'max' }),
  )

  function makeBatch(parts: readonly Part[], sequence: number): Version[] {
    const seen = new Set<string>()
    const batch: Version[] = []
    for (const part of parts) {
      const key = keyOf(part)
      if (seen.has(toHex(key))) continue
      seen.add(toHex(key))
      batch.push(row(key, sequence, new Uint8Array(part.valueBytes).fill(sequence)))
    }
    return batch
  }

  function keyOf({ partition, offset, kind }: Part): Uint8Array {
    const tp = topicPartition(TOPIC, partition)
    if (kind === 'extent') return keys.extent(tp, offset).slice()
    if (kind === 'term') return keys.term(tp, offset).slice()
    if (kind === 'record') return keys.record(tp, NOTHING, Uint8Array.of(offset, offset >>> 8))
    const id = new Uint8Array(16)
    new DataView(id.buffer).setUint32(0, partition * 0x01010101 + offset)
    return keys.object(id).slice()
  }

  /** The batch with its last value made as large as the promise allows. */
  function stretched(memtable: Memtable, batch: readonly Version[]): Version[] {
    const last = batch[batch.length - 1]
    const withValue = (length: number) => [
      ...batch.slice(0, -1),
      { ...last, value: new Uint8Array(length).fill(last.sequence) },
    ]
    let low = last.value.length
    let high = memtable.memory.byteLength
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      const [rows, keyBytes, valueBytes] = totals(batch)
      const wanted = valueBytes - last.value.length + middle
      if (memtable.hasRoomFor(rows, keyBytes, wanted)) low = middle
      else high = middle
    }
    return withValue(low)
  }

  test('a batch that was promised room fits whole', () => {
    const runs = fc.property(
      fc.constantFrom(MEMTABLE_BYTES_MIN, 100_000, 262_144),
      // Near the lengths at which a list gets a new index.
      fc.oneof(fc.nat({ max: 600 }), fc.constantFrom(510, 511, 1022, 1023)),
      batchesArbitrary,
      (bytes, longList, batches) => {
        const memtable = create(bytes)
        let sequence = 1
        for (; sequence <= longList; sequence++) {
          const one = [row(keys.extent(topicPartition(TOPIC, 0), longList - sequence), sequence)]
          if (!memtable.hasRoomFor(...totals(one))) break
          assert.equal(insert(memtable, one[0]), true, 'a single row')
        }
        for (const [i, parts] of batches.entries()) {
          let batch = makeBatch(parts, ++sequence)
          if (!memtable.hasRoomFor(...totals(batch))) continue
          if (i === batches.length - 1) batch = stretched(memtable, batch)
          for (const [at, version] of batch.entries()) {
            const isIn = insert(memtable, version)
            assert.ok(isIn, `row ${at} of ${batch.length} of a batch that was promised room`)
          }
        }
      },
    )
    fc.assert(runs, { numRuns: 300 })
  })

  test('an index does not take the room that was promised to the rest of a batch', () => {
    // The row that doubles a list filled in descending order makes a new index for it.
    for (const rows of [64, 512, 1024]) {
      const memtable = create(262_144)
      for (let i = 1; i < rows; i++) insert(memtable, row(keys.extent(TP, 10_000 - i), i))
      const small = row(keys.extent(TP, 1), rows)
      const batch = stretched(memtable, [small, row(keys.term(TP, 1), rows)])
      const [, large] = batch
      assert.ok(large.value.length > 10_000, `a value of ${large.value.length} bytes`)
      assert.equal(insert(memtable, small), true)
      assert.equal(insert(memtable, large), true, `beside a list of ${rows} rows`)
    }
  })

  test('is not promised where it is not', () => {
    const memtable = create(MEMTABLE_BYTES_MIN)
    assert.equal(memtable.hasRoomFor(1, 29, 100), true)
    assert.equal(memtable.hasRoomFor(1, 29, MEMTABLE_BYTES_MIN), false)
    assert.equal(memtable.hasRoomFor(10_000, 10_000, 0), false)
    const value = new Uint8Array(1000)
    let sequence = 1
    while (memtable.hasRoomFor(1, 29, 1000)) {
      assert.equal(insert(memtable, row(keys.extent(TP, sequence), sequence, value)), true)
      sequence++
    }
    assert.ok(sequence > MEMTABLE_BYTES_MIN / 1300, `only ${sequence} rows before the end`)
  })

  test('a row that does not fit changes nothing that can be seen', () => {
    const runs = fc.property(fc.integer(), seed => {
      const random = new Random(seed)
      const memtable = create(MEMTABLE_BYTES_MIN)
      const model = new VersionsModel()
      let refused = 0
      for (let sequence = 1; refused < 60; sequence++) {
        const tp = topicPartition(TOPIC, random.below(40))
        const key = random.below(2) === 0 ? keys.extent(tp, random.below(50)) : keys.partition(tp)
        const version = row(key, sequence, new Uint8Array(random.below(300)).fill(sequence))
        if (insert(memtable, version)) model.add(version)
        else refused++
      }
      assert.equal(memtable.rowCount, model.versions.length)
      const newest = Number.MAX_SAFE_INTEGER
      verifyScans(new MemtableCursor(memtable, newest), model.at(newest))
      for (const version of model.versions) {
        assert.equal(found(memtable, version.key, version.sequence), textOf(version))
      }
    })
    fc.assert(runs, { numRuns: 40 })
  })
})
