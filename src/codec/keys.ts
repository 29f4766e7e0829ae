/**
 * Row keys (docs/row-format.md): a type byte, then fixed-width big-endian fields, so that memcmp
 * order is the order wanted. A topic partition inside the engine is 20 bytes, the topic's UUID and
 * the partition as a big-endian int32; it is also what the router hashes.
 */
import { UUID_BYTES } from './uuid.ts'

export const ROW_TYPE = {
  partition: 0x00,
  extent: 0x01,
  term: 0x02,
  compaction: 0x03,
  object: 0x04,
  removedTopic: 0x05,
  request: 0x06,
  record: 0x10,
} as const

/** Bytes of a topic partition: topic UUID, partition. */
export const TP_BYTES = 20

export const KEY_BYTES = {
  partition: 21,
  extent: 29,
  term: 29,
  compaction: 21,
  object: 17,
  removedTopic: 17,
  request: 17,
} as const

/** Longest key of a caller's record. */
export const RECORD_KEY_BYTES_MAX = 4096
/** Longest name of a kind of records. */
export const RECORD_KIND_BYTES_MAX = 64
/** Longest row key of all: a record's. */
export const KEY_BYTES_MAX: number = 1 + TP_BYTES + 1 + RECORD_KIND_BYTES_MAX + RECORD_KEY_BYTES_MAX

const PARTITION_PREFIX_BYTES = 1 + TP_BYTES
/** Objects, requests and removed topics have random ids: one byte of them spreads them enough. */
const ID_PREFIX_BYTES = 2

/**
 * How many bytes of a key name its skip list in a memtable's directory: type and topic partition
 * where the row has one. Never more than the key has.
 */
export function directoryPrefixBytes(type: number, keyLength: number): number {
  const wanted =
    type >= ROW_TYPE.object && type < ROW_TYPE.record ? ID_PREFIX_BYTES : PARTITION_PREFIX_BYTES
  return Math.min(keyLength, wanted)
}

/**
 * The (type, topic, partition) prefix that table filters know, or 0 for rows of which there is one
 * a partition or which have none.
 */
export function filterPrefixBytes(key: Uint8Array): number {
  const type = key[0]
  const isFiltered = type === ROW_TYPE.extent || type === ROW_TYPE.term || type === ROW_TYPE.record
  return isFiltered && key.length >= PARTITION_PREFIX_BYTES ? PARTITION_PREFIX_BYTES : 0
}

export function putU32be(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export function getU32be(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}

export function putU64be(bytes: Uint8Array, at: number, value: number): void {
  const low = value >>> 0
  putU32be(bytes, at, (value - low) / 4294967296)
  putU32be(bytes, at + 4, low)
}

export function getU64be(bytes: Uint8Array, at: number): number {
  return getU32be(bytes, at) * 4294967296 + getU32be(bytes, at + 4)
}

/**
 * Builds keys into scratch arrays of exactly their length. A key is borrowed: it holds until the
 * same method is called again.
 */
export class KeyBuilder {
  readonly #partition = typed(KEY_BYTES.partition, ROW_TYPE.partition)
  readonly #extent = typed(KEY_BYTES.extent, ROW_TYPE.extent)
  readonly #extentPrefix = typed(PARTITION_PREFIX_BYTES, ROW_TYPE.extent)
  readonly #term = typed(KEY_BYTES.term, ROW_TYPE.term)
  readonly #termPrefix = typed(PARTITION_PREFIX_BYTES, ROW_TYPE.term)
  readonly #compaction = typed(KEY_BYTES.compaction, ROW_TYPE.compaction)
  readonly #object = typed(KEY_BYTES.object, ROW_TYPE.object)
  readonly #removedTopic = typed(KEY_BYTES.removedTopic, ROW_TYPE.removedTopic)
  readonly #request = typed(KEY_BYTES.request, ROW_TYPE.request)
  readonly #topicPrefix = new Uint8Array(1 + UUID_BYTES)

  partition(tp: Uint8Array): Uint8Array {
    return after(this.#partition, tp)
  }

  extent(tp: Uint8Array, baseOffset: number): Uint8Array {
    const key = after(this.#extent, tp)
    putU64be(key, PARTITION_PREFIX_BYTES, baseOffset)
    return key
  }

  extentPrefix(tp: Uint8Array): Uint8Array {
    return after(this.#extentPrefix, tp)
  }

  term(tp: Uint8Array, term: number): Uint8Array {
    const key = after(this.#term, tp)
    putU64be(key, PARTITION_PREFIX_BYTES, term)
    return key
  }

  termPrefix(tp: Uint8Array): Uint8Array {
    return after(this.#termPrefix, tp)
  }

  compaction(tp: Uint8Array): Uint8Array {
    return after(this.#compaction, tp)
  }

  object(id: Uint8Array): Uint8Array {
    return after(this.#object, id)
  }

  removedTopic(topic: Uint8Array): Uint8Array {
    return after(this.#removedTopic, topic)
  }

  request(id: Uint8Array): Uint8Array {
    return after(this.#request, id)
  }

  /** What all rows of a type of a topic begin with; `topic` may be a topic partition's bytes. */
  topicPrefix(type: number, topic: Uint8Array): Uint8Array {
    const prefix = this.#topicPrefix
    prefix[0] = type
    for (let i = 0; i < UUID_BYTES; i++) prefix[1 + i] = topic[i]
    return prefix
  }

  /** A fresh array: records have no fixed width. Without `key`, the prefix of the kind's rows. */
  record(tp: Uint8Array, kind: Uint8Array, key?: Uint8Array): Uint8Array {
    const start = PARTITION_PREFIX_BYTES + 1 + kind.length
    const bytes = new Uint8Array(start + (key === undefined ? 0 : key.length))
    bytes[0] = ROW_TYPE.record
    bytes.set(tp, 1)
    bytes[PARTITION_PREFIX_BYTES] = kind.length
    bytes.set(kind, PARTITION_PREFIX_BYTES + 1)
    if (key !== undefined) bytes.set(key, start)
    return bytes
  }
}

function typed(length: number, type: number): Uint8Array {
  const key = new Uint8Array(length)
  key[0] = type
  return key
}

function after(key: Uint8Array, id: Uint8Array): Uint8Array {
  for (let i = 0; i < id.length; i++) key[1 + i] = id[i]
  return key
}

/** The base offset in an extent's key, or the term in a term's. */
export function keyNumber(key: Uint8Array): number {
  return getU64be(key, PARTITION_PREFIX_BYTES)
}

/** The topic partition in the key of a row that has one; a view. */
export function keyTopicPartition(key: Uint8Array): Uint8Array {
  return key.subarray(1, 1 + TP_BYTES)
}

/** The id in the key of an object, request or removed topic; a view. */
export function keyId(key: Uint8Array): Uint8Array {
  return key.subarray(1, 1 + UUID_BYTES)
}

/** The caller's key in a record's row key; a view. */
export function keyOfRecord(key: Uint8Array): Uint8Array {
  return key.subarray(PARTITION_PREFIX_BYTES + 1 + key[PARTITION_PREFIX_BYTES])
}

export function hasPrefix(key: Uint8Array, prefix: Uint8Array): boolean {
  if (key.length < prefix.length) return false
  for (let i = prefix.length - 1; i >= 0; i--) if (key[i] !== prefix[i]) return false
  return true
}

/** The least key greater than every key with this prefix; undefined when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return undefined
  // Not slice(), which is a view where the prefix is a Buffer.
  const end = new Uint8Array(prefix.subarray(0, length))
  end[length - 1]++
  return end
}
