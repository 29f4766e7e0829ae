/** Rows of a caller's own kind beside a partition's metadata, ordered by key bytes. */
import { invalidRequest } from '../codec/errors.ts'
import { RECORD_KEY_BYTES_MAX, RECORD_KIND_BYTES_MAX } from '../codec/keys.ts'
import type { ReadOptions, TopicPartition } from '../shared/api.ts'
import type { RecordBound, RecordPage, ScanRecordsArguments } from '../shared/reads/record-reads.ts'
import { putRecords, type RecordOperation } from '../shared/writes/parts.ts'
import { WRITE_KIND } from '../shared/writes/write-kinds.ts'
import type { RoutedDomain } from './cluster/routed-domain.ts'
import { RecordSnapshot } from './record-snapshot.ts'
import { checkArray, checkBoolean, checkNumber, checkObject } from './requests/checks.ts'
import { show } from './show.ts'

const VALUE_BYTES_MAX = 1024 * 1024
/** Rows and bytes of a page that a scan fetches at once; bytes of an answer of getMany(). */
const PAGE_ROWS = 1000
const PAGE_BYTES: number = 1024 * 1024
/** Keys that one request of getMany() asks for: 4 MiB at the most. */
const KEYS_A_REQUEST = 1024

const KIND = /^[a-z0-9-]+$/
const encoder = new TextEncoder()

export type RecordKey = Uint8Array | string

export type RecordBatchOperation =
  | { type: 'put'; key: RecordKey; value: Uint8Array }
  | { type: 'delete'; key: RecordKey }

/** Of two bounds on one side the inclusive one counts. */
export interface RecordRange {
  gt?: RecordKey
  gte?: RecordKey
  lt?: RecordKey
  lte?: RecordKey
  reverse?: boolean
  /** At least 1. */
  limit?: number
}

export interface RecordReadOptions extends ReadOptions {
  /** Reads what it saw; absent: the newest state. */
  snapshot?: RecordSnapshot
}

/** A scan's range, checked, from which pages are asked for. */
export interface RecordScan {
  lower: RecordBound | undefined
  upper: RecordBound | undefined
  reverse: boolean
  /** Without, values are empty. */
  values: boolean
}

/** Who answers for a domain's rows. */
export type RecordDomain = Pick<RoutedDomain, 'local' | 'read' | 'readSync' | 'write'>

interface Place {
  domain: RecordDomain
  tp: Uint8Array
}

export class RecordStore {
  readonly #kind: Uint8Array
  readonly #placeOf: (tp: TopicPartition) => Place
  readonly #checkOptions: (options: ReadOptions | undefined) => void

  /** @throws INVALID_REQUEST for a kind that is not [a-z0-9-]{1,64} */
  constructor(
    kind: string,
    placeOf: (tp: TopicPartition) => Place,
    checkOptions: (options: ReadOptions | undefined) => void,
  ) {
    if (typeof kind !== 'string' || !KIND.test(kind) || kind.length > RECORD_KIND_BYTES_MAX) {
      throw invalidRequest(`kind must be [a-z0-9-]{1,64}, not ${show(kind)}`)
    }
    this.#kind = encoder.encode(kind)
    this.#placeOf = placeOf
    this.#checkOptions = checkOptions
  }

  // ---------------------------------------------------------------- reads

  /** The value, a copy, or undefined. */
  async get(
    tp: TopicPartition,
    key: RecordKey,
    o?: RecordReadOptions,
  ): Promise<Uint8Array | undefined> {
    const { domain, tp: at } = this.#placeOf(tp)
    const sequence = this.#sequenceOf(o, domain)
    const args = { tp: at, kind: this.#kind, key: keyBytes(key, 'key') }
    return await domain.read('getRecord', args, sequence, o?.consistency)
  }

  /**
   * What get() gives, at once: from memory or the local cache, on the calling thread. Without a
   * snapshot it sees every write that was acknowledged before, and of those under way none.
   * @throws UNAVAILABLE when that needs the bucket
   */
  getSync(tp: TopicPartition, key: RecordKey, o?: RecordReadOptions): Uint8Array | undefined {
    const { domain, tp: at } = this.#placeOf(tp)
    const sequence = this.#sequenceOf(o, domain)
    const args = { tp: at, kind: this.#kind, key: keyBytes(key, 'key') }
    return domain.readSync('getRecord', args, sequence)
  }

  /**
   * A value or undefined for each key, in their order. Some 1 MiB of values are read at once;
   * without a snapshot each such part sees a state of its own.
   */
  async getMany(
    tp: TopicPartition,
    keys: readonly RecordKey[],
    o?: RecordReadOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return await this.#getEach(tp, keys, o, true)
  }

  /** Whether each key is there, in their order; else as getMany(). */
  async hasMany(
    tp: TopicPartition,
    keys: readonly RecordKey[],
    o?: RecordReadOptions,
  ): Promise<boolean[]> {
    const found = await this.#getEach(tp, keys, o, false)
    return found.map(value => value !== undefined)
  }

  async #getEach(
    tp: TopicPartition,
    keys: readonly RecordKey[],
    o: RecordReadOptions | undefined,
    values: boolean,
  ): Promise<(Uint8Array | undefined)[]> {
    const wanted = checkArray(keys, 'keys').map((key, i) => keyBytes(key, `keys[${i}]`))
    const found: (Uint8Array | undefined)[] = []
    do {
      const { domain, tp: at } = this.#placeOf(tp)
      const sequence = this.#sequenceOf(o, domain)
      const part = wanted.slice(found.length, found.length + KEYS_A_REQUEST)
      const args = { tp: at, kind: this.#kind, keys: part, values, bytesMax: PAGE_BYTES }
      for (const value of await domain.read('getRecords', args, sequence, o?.consistency))
        found.push(value)
    } while (found.length < wanted.length)
    return found
  }

  /**
   * Rows of the range in key order, read by pages of at most 1000 rows and some 1 MiB. Without a
   * snapshot each page sees a state of its own. Keys and values are views of their page's memory,
   * which is the caller's: copy what is to be kept for long.
   */
  async *scan(
    tp: TopicPartition,
    range: RecordRange = {},
    o?: RecordReadOptions,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    const scan = scanOf(range)
    let left = checkNumber(range.limit ?? Number.MAX_SAFE_INTEGER, 'limit', undefined, 1)
    while (left > 0) {
      const page = await this.page(tp, scan, left, o)
      while (page.next()) {
        left--
        yield { key: page.key(), value: page.value() }
      }
      if (page.isEnd) return
      goOnAfter(scan, page)
    }
  }

  /**
   * The first rows of a scan: at most `limit`, and some 1 MiB, but one if there is any. For
   * waymark/level, whose bounds are checked.
   */
  async page(
    tp: TopicPartition,
    scan: RecordScan,
    limit: number,
    o?: RecordReadOptions,
  ): Promise<RecordPage> {
    const { domain, tp: at } = this.#placeOf(tp)
    const args: ScanRecordsArguments = {
      tp: at,
      kind: this.#kind,
      lower: scan.lower,
      upper: scan.upper,
      reverse: scan.reverse,
      values: scan.values,
      limit: Math.min(limit, PAGE_ROWS),
      bytesMax: PAGE_BYTES,
    }
    return await domain.read('scanRecords', args, this.#sequenceOf(o, domain), o?.consistency)
  }

  /** What is visible now, for reads of this domain; to be released. */
  snapshot(tp: TopicPartition): RecordSnapshot {
    return new RecordSnapshot(this.#placeOf(tp).domain.local)
  }

  /**
   * Undefined: the newest.
   * @throws INVALID_REQUEST for bad options, and a snapshot that is not good for the domain
   */
  #sequenceOf(o: RecordReadOptions | undefined, domain: RecordDomain): number | undefined {
    if (o === undefined) return undefined
    this.#checkOptions(o)
    const { snapshot } = o
    if (snapshot === undefined) return undefined
    if (!(snapshot instanceof RecordSnapshot)) {
      throw invalidRequest(`snapshot must be what snapshot() gave, not ${show(snapshot)}`)
    }
    return snapshot.sequenceIn(domain.local)
  }

  // ---------------------------------------------------------------- writes

  async put(tp: TopicPartition, key: RecordKey, value: Uint8Array): Promise<void> {
    await this.batch(tp, [{ type: 'put', key, value }])
  }

  /** Deleting what is not there succeeds. */
  async delete(tp: TopicPartition, key: RecordKey): Promise<void> {
    await this.batch(tp, [{ type: 'delete', key }])
  }

  /** All or nothing; of several operations on one key the last counts. */
  async batch(tp: TopicPartition, operations: RecordBatchOperation[]): Promise<void> {
    const { domain, tp: at } = this.#placeOf(tp)
    const checked = checkArray(operations, 'operations').map(checkOperation)
    await domain.write(
      out => {
        out.u8(0).u8(WRITE_KIND.records)
        putRecords(out, { tp: at, kind: this.#kind, operations: checked })
      },
      () => undefined,
    )
  }
}

/** What is left of a scan after a page of it. */
export function goOnAfter(scan: RecordScan, page: RecordPage): void {
  const last: RecordBound = { key: page.key(), isInclusive: false }
  if (scan.reverse) scan.upper = last
  else scan.lower = last
}

function scanOf(range: RecordRange): RecordScan {
  checkObject(range, 'range')
  const { gt, gte, lt, lte, reverse = false } = range
  return {
    lower: gte === undefined ? boundOf(gt, 'gt', false) : boundOf(gte, 'gte', true),
    upper: lte === undefined ? boundOf(lt, 'lt', false) : boundOf(lte, 'lte', true),
    reverse: checkBoolean(reverse, 'reverse'),
    values: true,
  }
}

function boundOf(
  key: RecordKey | undefined,
  field: string,
  isInclusive: boolean,
): RecordBound | undefined {
  return key === undefined ? undefined : { key: keyBytes(key, field), isInclusive }
}

function checkOperation(operation: RecordBatchOperation, i: number): RecordOperation {
  const field = `operations[${i}]`
  checkObject(operation, field)
  const key = keyBytes(operation.key, `${field}.key`)
  if (operation.type === 'delete') return { key, value: undefined }
  if (operation.type !== 'put') {
    throw invalidRequest(
      `${field}.type must be put or delete, not ${show((operation as { type: unknown }).type)}`,
    )
  }
  const { value } = operation
  if (!(value instanceof Uint8Array) || value.length > VALUE_BYTES_MAX) {
    throw invalidRequest(
      `${field}.value must be a Uint8Array of at most ${VALUE_BYTES_MAX} bytes, not ${
        value instanceof Uint8Array ? `one of ${value.length}` : show(value)
      }`,
    )
  }
  return { key, value }
}

function keyBytes(key: RecordKey, field: string): Uint8Array {
  const bytes = typeof key === 'string' ? encoder.encode(key) : key
  if (!(bytes instanceof Uint8Array) || bytes.length > RECORD_KEY_BYTES_MAX) {
    throw invalidRequest(
      `${field} must be a string or Uint8Array of at most ${RECORD_KEY_BYTES_MAX} bytes, not ${
        bytes instanceof Uint8Array ? `one of ${bytes.length}` : show(key)
      }`,
    )
  }
  return bytes
}
