/**
 * Brings what a read misses of a table: its memory (all but its blocks) or a range of its blocks,
 * from the local cache file where that has it, else from the bucket by ranged gets, written through
 * to the file. A cache file may have holes; bytes that fail their check are fetched again, once.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { tableKey } from '../../codec/bucket-layout.ts'
import { corruption, MetastoreError } from '../../codec/errors.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import { sectionsOffset } from '../../codec/table/table-footer.ts'
import type { TableSource } from '../../codec/table/table-reader.ts'
import type { OpenedTable } from '../../shared/io-tasks.ts'
import type { ObjectStore } from '../../shared/object-store.ts'
import { withRetry } from '../../shared/retry.ts'
import { TableMemory } from '../../shared/tables/table-memory.ts'
import type { TableCache } from './cache-files.ts'

/** The first guess at the size of all that is not blocks: right for tables of some 10 MiB. */
const TAIL_BYTES = 512 * 1024

/** A read that the bucket leaves hanging is asked again, before whoever waits gives up. */
const ATTEMPT_MS = 10_000

export interface FetchContext {
  bucket: ObjectStore
  cache: TableCache
  cacheDirectory: string
  /** How long the bucket may take for one range, retries included. */
  deadlineMs: number
}

/** @throws CORRUPTION when the object is missing or damaged; UNAVAILABLE when the bucket is */
export async function openTable(
  context: FetchContext,
  table: TableDescription,
): Promise<OpenedTable> {
  const name = tableKey(table)
  const local = openLocal(join(context.cacheDirectory, name), table, name)
  if (local !== undefined) return { memory: local, fetchedBytes: 0 }
  const { tail, memory } = await openRemote(context, table, name).catch((error: unknown) => {
    if (!isCorruption(error)) throw error
    // Damaged on its way, or in the bucket: the second time tells.
    return openRemote(context, table, name)
  })
  await context.cache.writeRange(name, table.sizeBytes, tail.offset, tail.bytes)
  return { memory, fetchedBytes: tail.bytes.length }
}

/** Bytes [offset, offset + length) of the file, in memory that every thread may map. */
export async function fetchBlocks(
  context: FetchContext,
  table: TableDescription,
  offset: number,
  length: number,
): Promise<SharedArrayBuffer> {
  const name = tableKey(table)
  const bytes = await getRange(context, name, offset, length)
  await context.cache.writeRange(name, table.sizeBytes, offset, bytes)
  const memory = new SharedArrayBuffer(bytes.length)
  new Uint8Array(memory).set(bytes)
  return memory
}

/** Undefined when the file is not there, or does not have these bytes whole. */
function openLocal(
  path: string,
  table: TableDescription,
  name: string,
): SharedArrayBuffer | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return undefined
  }
  try {
    if (fstatSync(file).size !== table.sizeBytes) return undefined
    const source = {
      sizeBytes: table.sizeBytes,
      read: (offset: number, length: number) => readAt(file, offset, length),
    }
    return TableMemory.open(source, name).memory
  } catch (error) {
    if (isCorruption(error)) return undefined
    throw error
  } finally {
    closeSync(file)
  }
}

/** Fewer bytes than asked for when the file ends; the table's own checks find that out. */
function readAt(file: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const count = readSync(file, bytes, done, length - done, offset + done)
    if (count === 0) break
    done += count
  }
  return bytes.subarray(0, done)
}

async function openRemote(
  context: FetchContext,
  table: TableDescription,
  name: string,
): Promise<{ tail: Tail; memory: SharedArrayBuffer }> {
  const tail = await fetchTail(context, table, name)
  return { tail, memory: TableMemory.open(tailSource(tail, table.sizeBytes), name).memory }
}

interface Tail {
  offset: number
  bytes: Uint8Array
}

/**
 * Everything behind the blocks: a guess first, the rest when the footer says that more is needed.
 */
async function fetchTail(
  context: FetchContext,
  { sizeBytes }: TableDescription,
  name: string,
): Promise<Tail> {
  const guessed = Math.max(0, sizeBytes - TAIL_BYTES)
  const bytes = await getRange(context, name, guessed, sizeBytes - guessed)
  const from = sectionsOffset(bytes, sizeBytes, name)
  if (from >= guessed) return { offset: guessed, bytes }
  const before = await getRange(context, name, from, guessed - from)
  const whole = new Uint8Array(before.length + bytes.length)
  whole.set(before)
  whole.set(bytes, before.length)
  return { offset: from, bytes: whole }
}

function tailSource(tail: Tail, sizeBytes: number): TableSource {
  return {
    sizeBytes,
    read: (offset, length) =>
      tail.bytes.subarray(offset - tail.offset, offset - tail.offset + length),
  }
}

/** Bytes [offset, offset + length) of an object. @throws CORRUPTION when it has not so many */
export async function getRange(
  { bucket, deadlineMs }: FetchContext,
  name: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  return withRetry({ deadlineMs, attemptTimeoutMs: ATTEMPT_MS }, async signal => {
    const bytes = await bucket.get(name, { offset, length, signal })
    if (bytes === null) throw corruption(`${name} is not in the bucket`, { file: name })
    if (bytes.length !== length) await expectLonger(bucket, name, offset + length, signal)
    return bytes
  })
}

/** A body that was cut short on its way is whole the next time; a short object never is. */
async function expectLonger(
  bucket: ObjectStore,
  name: string,
  end: number,
  signal: AbortSignal,
): Promise<never> {
  const info = await bucket.head(name, { signal })
  const sizeBytes = info?.sizeBytes ?? 0
  if (sizeBytes >= end) throw new Error(`the bytes of ${name} up to ${end} came cut short`)
  throw corruption(`${name} in the bucket ends at ${sizeBytes}`, { file: name, offset: sizeBytes })
}

function isCorruption(error: unknown): boolean {
  return error instanceof MetastoreError && error.code === 'CORRUPTION'
}
