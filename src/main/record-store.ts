/** Rows of a caller's own kind beside a partition's metadata, ordered by key bytes. */
import { invalidRequest } from '../codec/errors.ts'
import { RECORD_KEY_BYTES_MAX, RECORD_KIND_BYTES_MAX } from '../codec/keys.ts'
import type { ReadOptions, TopicPartition } from '../shared/api.ts'
import { putRecords, type RecordOperation } from '../shared/writes/parts.ts'
import { WRITE_KIND } from '../shared/writes/write-kinds.ts'
import type { DomainHandle } from './domain-handle.ts'
import { show } from './options.ts'
import { checkArray, checkNumber, checkObject } from './requests/checks.ts'

const VALUE_BYTES_MAX = 1024 * 1024
/** Rows and bytes of a page that a scan fetches at once. */
const PAGE_ROWS = 1000
const PAGE_BYTES: number = 1024 * 1024

const KIND = /^[a-z0-9-]+$/
const encoder = new TextEncoder()

export type RecordKey = Uint8Array | string

export type RecordBatchOperation =
  | { type: 'put'; key: RecordKey; value: Uint8Array }
  | { type: 'delete'; key: RecordKey }

export interface RecordRange {
  gte?: RecordKey
  lt?: RecordKey
  reverse?: boolean
  /** At least 1. */
  limit?: number
}

export class RecordStore {
  readonly #kind: Uint8Array
  readonly #domainOf: (tp: TopicPartition) => { domain: DomainHandle; tp: Uint8Array }
  readonly #checkOptions: (options: ReadOptions | undefined) => void

  /** @throws INVALID_REQUEST for a kind that is not [a-z0-9-]{1,64} */
  constructor(
    kind: string,
    domainOf: (tp: TopicPartition) => { domain: DomainHandle; tp: Uint8Array },
    checkOptions: (options: ReadOptions | undefined) => void,
  ) {
    if (typeof kind !== 'string' || !KIND.test(kind) || kind.length > RECORD_KIND_BYTES_MAX) {
      throw invalidRequest(`kind must be [a-z0-9-]{1,64}, not ${show(kind)}`)
    }
    this.#kind = encoder.encode(kind)
    this.#domainOf = domainOf
    this.#checkOptions = checkOptions
  }

  async get(tp: TopicPartition, key: RecordKey, o?: ReadOptions): Promise<Uint8Array | undefined> {
    const at = this.#domainOf(tp)
    this.#checkOptions(o)
    return at.domain.read('getRecord', { tp: at.tp, kind: this.#kind, key: keyBytes(key, 'key') })
  }

  async put(tp: TopicPartition, key: RecordKey, value: Uint8Array): Promise<void> {
    await this.batch(tp, [{ type: 'put', key, value }])
  }

  /** Deleting what is not there succeeds. */
  async delete(tp: TopicPartition, key: RecordKey): Promise<void> {
    await this.batch(tp, [{ type: 'delete', key }])
  }

  /** All or nothing; of several operations on one key the last counts. */
  async batch(tp: TopicPartition, operations: RecordBatchOperation[]): Promise<void> {
    const at = this.#domainOf(tp)
    const checked = checkArray(operations, 'operations').map(checkOperation)
    await at.domain.write(
      out => {
        out.u8(0).u8(WRITE_KIND.records)
        putRecords(out, { tp: at.tp, kind: this.#kind, operations: checked })
      },
      () => undefined,
    )
  }

  /** Rows of the range in key order; each page of 1000 is a snapshot of its own. */
  async *scan(
    tp: TopicPartition,
    range: RecordRange = {},
    o?: ReadOptions,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    checkObject(range, 'range')
    this.#checkOptions(o)
    const { reverse = false } = range
    let left = checkNumber(range.limit ?? Number.MAX_SAFE_INTEGER, 'limit', undefined, 1)
    let from: Uint8Array = range.gte === undefined ? new Uint8Array(0) : keyBytes(range.gte, 'gte')
    let to = range.lt === undefined ? undefined : keyBytes(range.lt, 'lt')
    while (left > 0) {
      const at = this.#domainOf(tp)
      const page = await at.domain.read('scanRecords', {
        tp: at.tp,
        kind: this.#kind,
        from,
        to,
        reverse,
        limit: Math.min(left, PAGE_ROWS),
        bytesMax: PAGE_BYTES,
      })
      yield* page.rows
      left -= page.rows.length
      const last = page.rows.at(-1)
      if (page.endOfRange || last === undefined) return
      if (reverse) to = last.key
      else from = successor(last.key)
    }
  }
}

/** The least key after `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
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
