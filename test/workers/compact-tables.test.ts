/**
 * Goal: a compaction's tables hold exactly what somebody can see of its inputs, whatever state the
 * local cache is in; what is damaged in the bucket as well fails the job and says where.
 * Method: random versions cut by sequence into tables over levels, merged over a bucket in memory
 * and a cache directory whose files are missing, short, zeroed or changed; a byte is changed in
 * every region of a table, in the cache alone and in the bucket too; buckets that fail.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { tableKey } from '../../src/codec/bucket-layout.ts'
import { compareBytes } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import type { TableDescription } from '../../src/codec/manifest.ts'
import { TableReader } from '../../src/codec/table/table-reader.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import type { KeyRange } from '../../src/shared/io-tasks.ts'
import type { ObjectStore } from '../../src/shared/object-store.ts'
import { CacheFiles } from '../../src/workers/io/cache-files.ts'
import { type CompactionInput, compactTables } from '../../src/workers/io/compact-tables.ts'
import type { FetchContext } from '../../src/workers/io/table-fetch.ts'
import { type FinishedTable, TableOutput } from '../../src/workers/io/table-output.ts'
import {
  FaultyObjectStore,
  scriptedPlan,
  seededPlan,
} from '../object-stores/faulty-object-store.ts'
import { Random } from '../shared/random.ts'
import { firstSequenceArbitrary, keyArbitrary, rowsArbitrary } from '../shared/row-keys.ts'
import { type Version, VersionsModel } from '../shared/versions.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import {
  fileOf,
  NAMING,
  readsAt,
  rowsIn,
  seenVersions,
  storableVersions,
  type TableFile,
  textOf,
} from './table-files.ts'

let directory = ''

before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true, force: true }))

function contextOf(bucket: ObjectStore, deadlineMs = 20_000): FetchContext {
  return { bucket, cache: new CacheFiles(directory), cacheDirectory: directory, deadlineMs }
}

function writeCache({ description }: TableFile, bytes: Uint8Array): void {
  const path = join(directory, tableKey(description))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}

async function bucketOf(files: readonly TableFile[]): Promise<MemoryObjectStore> {
  const bucket = new MemoryObjectStore()
  for (const { description, bytes } of files) await bucket.put(tableKey(description), bytes)
  return bucket
}

function jobOf(
  inputs: readonly TableDescription[],
  rest: Partial<CompactionInput> = {},
): CompactionInput {
  return { ...NAMING, inputs, outputLevel: 3, below: [], snapshots: [], ...rest }
}

async function compact(
  context: FetchContext,
  job: CompactionInput,
  bytesMax: number = 2 ** 26,
): Promise<FinishedTable[]> {
  const outputs: FinishedTable[] = []
  const store = async (table: FinishedTable): Promise<void> => void outputs.push(table)
  const output = new TableOutput(job, job.outputLevel, bytesMax)
  await compactTables(context, job, store, () => undefined, output)
  return outputs
}

/** Cuts sorted versions into tables of a level; those of one key stay together. */
function levelFiles(versions: readonly Version[], level: number, rows: number): TableFile[] {
  const files: TableFile[] = []
  for (let at = 0; at < versions.length; ) {
    let end = Math.min(at + rows, versions.length)
    while (end < versions.length && isSameKey(versions[end - 1], versions[end])) end++
    files.push(fileOf(versions.slice(at, end), level, 100))
    at = end
  }
  return files
}

function isSameKey(a: Version, b: Version): boolean {
  return compareBytes(a.key, b.key) === 0
}

function contains({ smallest, greatest }: KeyRange, key: Uint8Array): boolean {
  return compareBytes(smallest, key) <= 0 && compareBytes(key, greatest) <= 0
}

interface Inputs {
  files: TableFile[]
  model: VersionsModel
  greatest: number
}

/** Newest first: two parts in level 0, one in each of levels 1 and 2. */
const inputsArbitrary: fc.Arbitrary<Inputs> = fc
  .tuple(
    rowsArbitrary,
    firstSequenceArbitrary,
    fc.array(fc.nat({ max: 999 }), { minLength: 3, maxLength: 3 }),
    fc.integer({ min: 1, max: 12 }),
  )
  .map(([rows, firstSequence, cuts, tableRows]) => {
    const versions = storableVersions(rows, firstSequence)
    const ends = cuts.map(
      cut => versions[Math.floor((cut * versions.length) / 1000)]?.sequence ?? 0,
    )
    const model = new VersionsModel()
    const parts = [0, 1, 2, 3].map(() => new VersionsModel())
    for (const version of versions) {
      model.add(version)
      parts[ends.filter(end => version.sequence <= end).length].add(version)
    }
    const files = parts.flatMap(({ versions: part }, i) => {
      if (part.length === 0) return []
      return i < 2 ? [fileOf(part, 0, 100)] : levelFiles(part, i - 1, tableRows)
    })
    return { files, model, greatest: versions.at(-1)?.sequence ?? 0 }
  })

const CACHE_STATES = ['whole', 'missing', 'short', 'long', 'zeroed', 'flipped'] as const

function cacheAs(file: TableFile, state: (typeof CACHE_STATES)[number], random: Random): void {
  const { length } = file.bytes
  const bytes = new Uint8Array(state === 'long' ? length + 5 : length)
  bytes.set(file.bytes)
  const from = random.below(length)
  if (state === 'zeroed') bytes.fill(0, from, from + 1 + random.below(length - from))
  if (state === 'flipped') bytes[from] ^= 1 << random.below(8)
  if (state !== 'missing') writeCache(file, state === 'short' ? bytes.subarray(0, from) : bytes)
}

describe('a compaction', () => {
  test('merges levels into what is seen, whatever the cache has', async () => {
    let split = 0
    await fc.assert(
      fc.asyncProperty(
        inputsArbitrary,
        fc.array(fc.nat({ max: 150 }), { maxLength: 4 }),
        fc.array(fc.tuple(keyArbitrary, keyArbitrary), { maxLength: 3 }),
        fc.constantFrom(1, 2 ** 26),
        fc.nat(),
        async ({ files, model, greatest }, ages, ranges, bytesMax, seed) => {
          const random = new Random(seed)
          for (const file of files) {
            cacheAs(file, CACHE_STATES[random.below(CACHE_STATES.length)], random)
          }
          const snapshots = ages.map(age => Math.max(0, greatest - age))
          const below = ranges.map(
            ([a, b]): KeyRange =>
              compareBytes(a, b) < 0 ? { smallest: a, greatest: b } : { smallest: b, greatest: a },
          )
          const job = jobOf(
            files.map(({ description }) => description),
            { below, snapshots },
          )
          const outputs = await compact(contextOf(await bucketOf(files)), job, bytesMax)
          const rows = outputs.flatMap(({ bytes }) => rowsIn(bytes))
          const isBottom = (key: Uint8Array): boolean => !below.some(range => contains(range, key))
          const seen = seenVersions(model.versions, snapshots, isBottom)
          assert.deepEqual(rows.map(textOf), seen.map(textOf))
          for (const sequence of [...snapshots, greatest]) {
            assert.deepEqual(readsAt(rows, sequence), readsAt(model.versions, sequence))
          }
          for (const [i, { description }] of outputs.entries()) {
            assert.equal(description.level, 3)
            assert.equal(description.id, NAMING.firstTableId + i)
            if (i === 0) continue
            const { greatestKey } = outputs[i - 1].description
            assert.ok(compareBytes(greatestKey, description.smallestKey) < 0)
            split++
          }
        },
      ),
      { numRuns: 120 },
    )
    assert.ok(split > 20, `${split} tables after the first`)
  })

  test('gives the thread a turn once a block, and stores one table after the other', async () => {
    const files = levelFiles(someVersions(200), 1, 50)
    const blocks = files.reduce((sum, { bytes }) => sum + readerOf(bytes).blockCount, 0)
    const job = jobOf(files.map(({ description }) => description))
    let turns = 0
    let storing = 0
    let stored = 0
    await compactTables(
      contextOf(await bucketOf(files)),
      job,
      async () => {
        assert.equal(++storing, 1)
        await new Promise(resolve => setImmediate(resolve))
        storing--
        stored++
      },
      () => {
        turns++
        return turns % 2 === 0 ? Promise.resolve() : undefined
      },
      new TableOutput(job, 3, 1),
    )
    assert.equal(turns, blocks)
    assert.ok(stored > 5)
    assert.equal(storing, 0)
  })
})

/** Sorted; every tenth a delete. */
function someVersions(count: number, from = 0, sequence = 1): Version[] {
  return Array.from({ length: count }, (_, i) => {
    const key = Uint8Array.of(4, (i + from) >>> 8, i + from, 7)
    const isDelete = i % 10 === 9
    const value = isDelete ? new Uint8Array(0) : new Uint8Array(40).fill(i)
    return { key, sequence: sequence + i, isDelete, value }
  })
}

function readerOf(bytes: Uint8Array): TableReader {
  const read = (offset: number, length: number): Uint8Array =>
    bytes.subarray(offset, offset + length)
  return TableReader.open({ sizeBytes: bytes.length, read }, 'table')
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] ^= 0x40
  return copy
}

/** Where the blocks end. */
function blocksEnd(bytes: Uint8Array): number {
  const { index } = readerOf(bytes).parts
  return index.offset(index.blockCount)
}

function blockAt(bytes: Uint8Array, at: number): { block: number; offset: number } {
  const { index } = readerOf(bytes).parts
  let block = 0
  while (index.offset(block + 1) <= at) block++
  return { block, offset: index.offset(block) }
}

/** Files of this directory that the process has open; undefined where that cannot be known. */
function openFiles(): number | undefined {
  if (!existsSync('/proc/self/fd')) return undefined
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(join('/proc/self/fd', fd)).startsWith(directory)
    } catch {
      return false
    }
  }).length
}

async function failureOf(context: FetchContext, job: CompactionInput): Promise<MetastoreError> {
  const open = openFiles()
  try {
    await compact(context, job)
  } catch (error) {
    assert.ok(error instanceof MetastoreError, String(error))
    assert.equal(openFiles(), open, 'files are left open')
    return error
  }
  assert.fail('the compaction has succeeded')
}

describe('damage', () => {
  const upper = fileOf(someVersions(60, 100, 1000), 0, 300)
  const lower = fileOf(someVersions(300), 1, 300)
  const job = jobOf([upper.description, lower.description])

  test('anywhere in a cache file changes nothing', async () => {
    const bucket = await bucketOf([upper, lower])
    const expected = (await compact(contextOf(bucket), job)).map(({ bytes }) => bytes)
    const { length } = lower.bytes
    writeCache(upper, upper.bytes)
    for (let at = 0; at < length; at += 1 + Math.floor(length / 150)) {
      writeCache(lower, flipped(lower.bytes, at))
      const found = await compact(contextOf(bucket), job)
      assert.deepEqual(
        found.map(({ bytes }) => bytes),
        expected,
        `a byte at ${at}`,
      )
      writeCache(lower, lower.bytes.subarray(0, at))
      const short = await compact(contextOf(bucket), job)
      assert.deepEqual(
        short.map(({ bytes }) => bytes),
        expected,
        `${at} bytes`,
      )
    }
  })

  test('in the bucket alone is not noticed while the cache has the files', async () => {
    const damaged = [upper, lower].map(file => ({ ...file, bytes: flipped(file.bytes, 20) }))
    const expected = await compact(contextOf(await bucketOf([upper, lower])), job)
    writeCache(upper, upper.bytes)
    writeCache(lower, lower.bytes)
    const bucket = new FaultyObjectStore(await bucketOf(damaged), () => null)
    const found = await compact(contextOf(bucket), job)
    assert.deepEqual(found, expected)
    assert.deepEqual(bucket.calls, [])
  })

  test('in the bucket as well is CORRUPTION, which says where', async () => {
    const { length } = lower.bytes
    const end = blocksEnd(lower.bytes)
    const file = tableKey(lower.description)
    for (let at = 0; at < length; at += 1 + Math.floor(length / 100)) {
      const damaged = { ...lower, bytes: flipped(lower.bytes, at) }
      const bucket = await bucketOf([upper, damaged])
      writeCache(lower, damaged.bytes)
      const { code, details, message } = await failureOf(contextOf(bucket), job)
      assert.equal(code, 'CORRUPTION', message)
      if (at < end) assert.deepEqual(details, { file, ...blockAt(lower.bytes, at) })
      else {
        const place = details as { file: string; block?: number; offset: number }
        assert.equal(place.file, file)
        assert.equal(place.block, undefined)
        assert.ok(place.offset >= end && place.offset < length, `offset ${place.offset}, not ${at}`)
      }
    }
  })

  test('of an object that is short or missing is CORRUPTION', async () => {
    const file = tableKey(lower.description)
    for (const size of [0, 10, Math.floor(lower.bytes.length / 2), lower.bytes.length - 1]) {
      await rm(join(directory, file), { force: true })
      const short = { ...lower, bytes: lower.bytes.subarray(0, size) }
      const { code, details } = await failureOf(contextOf(await bucketOf([upper, short])), job)
      assert.equal(code, 'CORRUPTION')
      assert.deepEqual(details, { file, offset: size })
    }
    const { code, details } = await failureOf(contextOf(await bucketOf([upper])), job)
    assert.equal(code, 'CORRUPTION')
    assert.deepEqual(details, { file })
  })

  test('of one piece of a large file has that piece fetched, and no more', async () => {
    const random = new Random(8)
    const versions = Array.from({ length: 400 }, (_, i): Version => {
      const value = Uint8Array.from({ length: 10_000 }, () => random.next())
      return { key: Uint8Array.of(4, i >>> 8, i), sequence: i + 1, isDelete: false, value }
    })
    const large = fileOf(versions, 1, 8192, 'none')
    const bytes = large.bytes.slice()
    bytes.fill(0, 1_500_000, 1_600_000)
    writeCache(large, bytes)
    const bucket = new FaultyObjectStore(await bucketOf([large]), () => null)
    const outputs = await compact(contextOf(bucket), jobOf([large.description]))
    const rows = outputs.flatMap(table => rowsIn(table.bytes))
    assert.equal(rows.length, versions.length)
    for (const [i, { key, value }] of versions.entries()) {
      assert.equal(Buffer.compare(rows[i].key, key), 0)
      assert.equal(Buffer.compare(rows[i].value, value), 0)
    }
    assert.equal(bucket.calls.filter(({ method }) => method === 'get').length, 1)
  })
})

describe('a bucket that fails', () => {
  const upper = fileOf(someVersions(30, 10, 1000), 0, 300)
  // More than is fetched together with the file's end: its first blocks take a call of their own.
  const lower = fileOf(
    someVersions(100).map(version =>
      version.isDelete ? version : { ...version, value: new Uint8Array(10_000).fill(1) },
    ),
    1,
    8192,
    'none',
  )
  const job = jobOf([upper.description, lower.description])

  async function uncached(): Promise<void> {
    for (const { description } of [upper, lower]) {
      await rm(join(directory, tableKey(description)), { force: true })
    }
  }

  test('for good rejects with UNAVAILABLE when time is up, whichever call it is', async () => {
    for (const fault of ['errorBefore', 'throttle', 'hang', 'truncate'] as const) {
      for (const from of [0, 1, 2]) {
        await uncached()
        const inner = await bucketOf([upper, lower])
        const bucket = new FaultyObjectStore(inner, ({ index }) => (index < from ? null : fault))
        const { code, message } = await failureOf(contextOf(bucket, 40), job)
        assert.equal(code, 'UNAVAILABLE', `${fault} from call ${from} on: ${message}`)
      }
    }
  })

  test('now and then gives the same tables', async () => {
    const inner = await bucketOf([upper, lower])
    await uncached()
    const expected = await compact(contextOf(inner), job)
    for (let seed = 1; seed <= 5; seed++) {
      await uncached()
      const rates = { errorBefore: 0.2, errorAfter: 0.1, truncate: 0.2, delay: 0.2 }
      const bucket = new FaultyObjectStore(inner, seededPlan(seed, rates))
      assert.deepEqual(await compact(contextOf(bucket), job), expected)
    }
    await uncached()
    const bucket = new FaultyObjectStore(inner, scriptedPlan('truncate', 'errorAfter'))
    assert.deepEqual(await compact(contextOf(bucket), job), expected)
  })

  test('to take a table ends the job with its error', async () => {
    const context = contextOf(await bucketOf([upper, lower]))
    const failure = new Error('the bucket is full')
    let calls = 0
    const open = openFiles()
    const work = compactTables(
      context,
      job,
      async () => {
        if (++calls === 2) throw failure
      },
      () => undefined,
      new TableOutput(job, 3, 1),
    )
    await assert.rejects(work, error => error === failure)
    assert.equal(calls, 2)
    assert.equal(openFiles(), open)
  })
})
