/**
 * A tail object: committed row batches of a domain that no manifest covered when it was made
 * (docs/tail-format.md). Immutable, named by the epoch of who made it and by its sequences. A
 * committed sequence is the same batch for ever, whoever ships it, so tail objects of different
 * epochs may overlap and never disagree. Little-endian; the last 8 bytes are the XXH64 of the rest.
 */
import { ByteReader, ByteWriter, putU32 } from './bytes.ts'
import { type CorruptionPlace, corruption, MetastoreError } from './errors.ts'
import { xxh64 } from './hash.ts'
import { lz4Compress, lz4Decompress } from './lz4.ts'
import { batchSequence } from './row-batch.ts'
import { formatUuid, UUID_BYTES, uuidBytes } from './uuid.ts'

export const TAIL_MAGIC = 0x4c544d57
export const TAIL_VERSION = 1
/** These values are in the bucket and never change. */
const STORED = { plain: 0, lz4: 1 } as const
const CHECKSUM_BYTES = 8
/** What the batches of one object may be together before compression; more is CORRUPTION. */
export const TAIL_BYTES_MAX: number = 64 * 1024 * 1024

export interface TailName {
  /** UUID. */
  domain: string
  /** Raft term of the leader that made it. */
  epoch: number
  /** Sequences, both inclusive. */
  first: number
  last: number
}

export interface Tail extends TailName {
  clusterId: string
  /** Milliseconds since the epoch, by the leader's clock: everything in it was committed before. */
  createdAt: number
  /** Row batches (row-batch.ts), one a sequence, from `first` to `last`. */
  batches: readonly Uint8Array[]
}

export function encodeTail(tail: Tail, compression: 'lz4' | 'none'): Uint8Array {
  const body = new ByteWriter(64 * 1024)
  for (const batch of tail.batches) body.blob(batch)
  const raw = body.view()
  const packed = compression === 'lz4' ? lz4Compress(raw) : raw
  // Kept only if it saves an eighth, as with blocks of tables.
  const isPacked = packed.length <= raw.length - raw.length / 8
  const out = new ByteWriter(128 + (isPacked ? packed : raw).length)
  out.u32(TAIL_MAGIC).u16(TAIL_VERSION).raw(uuidBytes(tail.clusterId)).raw(uuidBytes(tail.domain))
  out.varint(tail.epoch).varint(tail.first).varint(tail.last).varint(tail.createdAt)
  out.u8(isPacked ? STORED.lz4 : STORED.plain).varint(raw.length)
  out.raw(isPacked ? packed : raw)
  return out.raw(checksum(out.view())).take()
}

/** The batches are views of memory of their own. @throws CORRUPTION naming `file` */
export function decodeTail(bytes: Uint8Array, file: string): Tail {
  const end = bytes.length - CHECKSUM_BYTES
  const isWhole =
    end >= 0 && Buffer.compare(bytes.subarray(end), checksum(bytes.subarray(0, end))) === 0
  if (!isWhole) {
    throw corruption(`${file}: the tail's checksum is wrong`, { file, offset: Math.max(0, end) })
  }
  try {
    return readTail(new ByteReader(bytes, file, 0, end), file)
  } catch (error) {
    if (!(error instanceof MetastoreError)) throw error
    const { offset } = (error.details ?? {}) as CorruptionPlace
    throw corruption(error.message, offset === undefined ? { file } : { file, offset })
  }
}

function readTail(reader: ByteReader, file: string): Tail {
  if (reader.u32() !== TAIL_MAGIC) throw corruption(`${file} is not a tail object`, { file })
  const version = reader.u16()
  if (version !== TAIL_VERSION) {
    throw corruption(`${file}: tail format ${version} is not known here`, { file })
  }
  const head = {
    clusterId: formatUuid(reader.raw(UUID_BYTES)),
    domain: formatUuid(reader.raw(UUID_BYTES)),
    epoch: reader.varint(),
    first: reader.varint(),
    last: reader.varint(),
    createdAt: reader.varint(),
  }
  const stored = reader.u8()
  const sizeBytes = reader.varint()
  if (stored > STORED.lz4 || sizeBytes > TAIL_BYTES_MAX) {
    throw corruption(`${file}: ${sizeBytes} bytes stored as ${stored}`, { file })
  }
  const body = reader.raw(reader.remaining)
  const raw = stored === STORED.lz4 ? lz4Decompress(body, sizeBytes) : body.slice()
  if (raw.length !== sizeBytes) throw corruption(`${file}: ${raw.length} of ${sizeBytes} bytes`)
  return { ...head, batches: readBatches(raw, head, file) }
}

function readBatches(
  raw: Uint8Array,
  { first, last }: Pick<TailName, 'first' | 'last'>,
  file: string,
): Uint8Array[] {
  const reader = new ByteReader(raw, file)
  const batches: Uint8Array[] = []
  while (reader.remaining > 0) {
    const batch = reader.blob()
    const sequence = batchSequence(batch)
    if (sequence !== first + batches.length) {
      throw corruption(`${file}: batch ${sequence} where ${first + batches.length} is due`)
    }
    batches.push(batch)
  }
  if (batches.length !== last - first + 1) {
    throw corruption(`${file}: ${batches.length} batches from ${first} to ${last}`)
  }
  return batches
}

function checksum(bytes: Uint8Array): Uint8Array {
  const hash = xxh64(bytes)
  const out = new Uint8Array(CHECKSUM_BYTES)
  putU32(out, 0, Number(hash & 0xffffffffn))
  putU32(out, 4, Number(hash >> 32n))
  return out
}
