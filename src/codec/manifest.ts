/**
 * A manifest: the whole state of a domain's LSM at one sequence (docs/manifest-format.md). A new,
 * immutable object each time, named by epoch and version, and an entry of the domain's Raft log,
 * whose commit is what makes it count. Little-endian; the last 8 bytes are the XXH64 of the rest.
 */
import { ByteReader, ByteWriter, compareBytes, putU32 } from './bytes.ts'
import { type CorruptionPlace, corruption, MetastoreError } from './errors.ts'
import { xxh64 } from './hash.ts'
import { formatUuid, UUID_BYTES, uuidBytes } from './uuid.ts'

export const MANIFEST_MAGIC = 0x464d4d57
/** Version 1 had level 0 only and no compaction cursors; it still opens. */
export const MANIFEST_VERSION = 2
const MANIFEST_VERSION_LEVEL0_ONLY = 1

/** A table as a manifest knows it. */
export interface TableDescription {
  /** UUID of the domain that made the table: an ancestor's, after a restore. */
  domain: string
  /** Epoch and id name the file; ids are never used twice within a domain. */
  epoch: number
  id: number
  level: number
  sizeBytes: number
  /** XXH64 of the whole file, 16 hexadecimal digits. */
  checksum: string
  rows: number
  deletes: number
  smallestKey: Uint8Array
  greatestKey: Uint8Array
  smallestSequence: number
  greatestSequence: number
}

export interface ManifestName {
  domain: string
  epoch: number
  version: number
}

export interface Manifest {
  clusterId: string
  /** UUID of the domain. */
  domain: string
  /** Raft term of the leader that made it; never falls, also over restores. */
  epoch: number
  /** Counts within the domain, from 1. */
  version: number
  /** What it was made from; null for the first. */
  parent: ManifestName | null
  /** Everything up to this sequence is in the tables. */
  lastSequence: number
  /** Index of the Raft entry that the last sequence stands for. */
  lastIndex: number
  nextTableId: number
  /** Milliseconds since the epoch. */
  createdAt: number
  /**
   * Of each level, by its number: the greatest key that was last compacted out of it; empty when
   * compaction begins at the level's start.
   */
  compactionCursors: Uint8Array[]
  /** By level; level 0 newest first, the others by key, and each of those disjoint. */
  tables: TableDescription[]
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const out = new ByteWriter(1024)
  out.u32(MANIFEST_MAGIC).u16(MANIFEST_VERSION)
  out.raw(uuidBytes(manifest.clusterId)).raw(uuidBytes(manifest.domain))
  out.varint(manifest.epoch).varint(manifest.version)
  if (manifest.parent === null) out.u8(0)
  else {
    const { domain, epoch, version } = manifest.parent
    out.u8(1).raw(uuidBytes(domain)).varint(epoch).varint(version)
  }
  out.varint(manifest.lastSequence).varint(manifest.lastIndex)
  out.varint(manifest.nextTableId).varint(manifest.createdAt)
  out.varint(manifest.compactionCursors.length)
  for (const cursor of manifest.compactionCursors) out.blob(cursor)
  out.varint(manifest.tables.length)
  for (const table of manifest.tables) putTable(out, table)
  return out.raw(checksumBytes(out.view())).take()
}

export function putTable(out: ByteWriter, table: TableDescription): void {
  out.raw(uuidBytes(table.domain)).varint(table.epoch).varint(table.id).varint(table.level)
  out.varint(table.sizeBytes).text(table.checksum).varint(table.rows).varint(table.deletes)
  out.blob(table.smallestKey).blob(table.greatestKey)
  out.varint(table.smallestSequence).varint(table.greatestSequence)
}

/** @throws CORRUPTION naming `file` */
export function decodeManifest(bytes: Uint8Array, file: string): Manifest {
  const end = bytes.length - 8
  if (end < 0 || !sameBytes(bytes.subarray(end), checksumBytes(bytes.subarray(0, end)))) {
    throw corruption(`${file}: the manifest's checksum is wrong`, {
      file,
      offset: Math.max(0, end),
    })
  }
  try {
    return readManifest(new ByteReader(bytes, file, 0, end), file)
  } catch (error) {
    if (!(error instanceof MetastoreError)) throw error
    const { offset } = (error.details ?? {}) as CorruptionPlace
    throw corruption(error.message, offset === undefined ? { file } : { file, offset })
  }
}

function readManifest(reader: ByteReader, file: string): Manifest {
  if (reader.u32() !== MANIFEST_MAGIC) throw corruption(`${file} is not a manifest`, { file })
  const format = reader.u16()
  if (format !== MANIFEST_VERSION && format !== MANIFEST_VERSION_LEVEL0_ONLY) {
    throw corruption(`${file}: manifest format ${format} is not known here`, { file })
  }
  const manifest: Manifest = {
    clusterId: formatUuid(reader.raw(UUID_BYTES)),
    domain: formatUuid(reader.raw(UUID_BYTES)),
    epoch: reader.varint(),
    version: reader.varint(),
    parent: getFlag(reader) ? getName(reader) : null,
    lastSequence: reader.varint(),
    lastIndex: reader.varint(),
    nextTableId: reader.varint(),
    createdAt: reader.varint(),
    compactionCursors: [],
    tables: [],
  }
  if (format !== MANIFEST_VERSION_LEVEL0_ONLY) {
    for (let left = reader.varint(); left > 0; left--) {
      manifest.compactionCursors.push(reader.blob().slice())
    }
  }
  for (let left = reader.varint(); left > 0; left--) manifest.tables.push(getTable(reader))
  reader.expectEnd()
  expectOrder(manifest.tables, file)
  return manifest
}

/** @throws CORRUPTION when reads would miss rows of these tables */
function expectOrder(tables: readonly TableDescription[], file: string): void {
  for (let i = 1; i < tables.length; i++) {
    const [before, table] = [tables[i - 1], tables[i]]
    const isInOrder =
      before.level < table.level ||
      (before.level === table.level &&
        (table.level === 0 || compareBytes(before.greatestKey, table.smallestKey) < 0))
    if (!isInOrder) {
      const which = `tables ${before.id} and ${table.id} of level ${table.level}`
      throw corruption(`${file}: ${which} are out of order or overlap`, { file })
    }
  }
}

function getFlag(reader: ByteReader): boolean {
  const flag = reader.u8()
  if (flag > 1) throw corruption(`a flag is ${flag}`, { offset: reader.position - 1 })
  return flag === 1
}

function getName(reader: ByteReader): ManifestName {
  return {
    domain: formatUuid(reader.raw(UUID_BYTES)),
    epoch: reader.varint(),
    version: reader.varint(),
  }
}

export function getTable(reader: ByteReader): TableDescription {
  return {
    domain: formatUuid(reader.raw(UUID_BYTES)),
    epoch: reader.varint(),
    id: reader.varint(),
    level: reader.varint(),
    sizeBytes: reader.varint(),
    checksum: reader.text(),
    rows: reader.varint(),
    deletes: reader.varint(),
    smallestKey: reader.blob().slice(),
    greatestKey: reader.blob().slice(),
    smallestSequence: reader.varint(),
    greatestSequence: reader.varint(),
  }
}

export function manifestName({ domain, epoch, version }: ManifestName): ManifestName {
  return { domain, epoch, version }
}

/** Whether `a` is newer than `b`: the greater epoch, then the greater version. */
export function isNewerManifest(a: ManifestName, b: ManifestName): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.version > b.version)
}

function checksumBytes(bytes: Uint8Array): Uint8Array {
  const checksum = xxh64(bytes)
  const out = new Uint8Array(8)
  putU32(out, 0, Number(checksum & 0xffffffffn))
  putU32(out, 4, Number(checksum >> 32n))
  return out
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
