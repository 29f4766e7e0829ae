/**
 * The directory of sections and the footer that ends a table (docs/table-format.md). Blocks,
 * sections, directory and footer follow one another without a gap, so that no byte of the file is
 * outside every check.
 */
import { type ByteWriter, equalBytes, getU32, getU64 } from '../bytes.ts'
import { corruption, MetastoreError } from '../errors.ts'
import { putChecksum, verifyChecksum } from './table-checksum.ts'
import {
  CHECKSUM_BYTES,
  DIRECTORY_LINE_BYTES,
  FOOTER_BYTES,
  SECTIONS_MAX,
  TABLE_MAGIC,
  TABLE_VERSION,
} from './table-format.ts'

const FOOTER_CHECKSUM_AT = 24
const FOOTER_MAGIC_AT = 32

/** A section's place in the file, [offset, offset + sizeBytes). */
export interface TableSection {
  readonly type: number
  readonly offset: number
  readonly sizeBytes: number
  /** Eight bytes: XXH64 of the section, as stored. */
  readonly checksum: Uint8Array
}

export interface TableFooter {
  readonly directoryOffset: number
  readonly directoryBytes: number
  /** Eight bytes: XXH64 of the directory, as stored. */
  readonly directoryChecksum: Uint8Array
}

/** Appends `bytes` as a section and returns its line of the directory. */
export function appendSection(out: ByteWriter, type: number, bytes: Uint8Array): TableSection {
  const checksum = new Uint8Array(CHECKSUM_BYTES)
  putChecksum(checksum, 0, bytes)
  const section = { type, offset: out.length, sizeBytes: bytes.length, checksum }
  out.raw(bytes)
  return section
}

/** Appends the directory of `sections` and the footer: the file is whole. */
export function appendDirectory(out: ByteWriter, sections: readonly TableSection[]): void {
  const directoryOffset = out.length
  for (const { type, offset, sizeBytes, checksum } of sections) {
    out.u32(type).u64(offset).u64(sizeBytes).raw(checksum)
  }
  const directoryBytes = out.length - directoryOffset
  out.reserve(FOOTER_BYTES)
  const footerOffset = out.length
  out.u64(directoryOffset).u32(directoryBytes).u32(TABLE_VERSION)
  putChecksum(out.bytes, out.length, out.bytes.subarray(directoryOffset, footerOffset))
  out.length += CHECKSUM_BYTES
  putChecksum(out.bytes, out.length, out.bytes.subarray(footerOffset, out.length))
  out.length += CHECKSUM_BYTES
  out.raw(TABLE_MAGIC)
}

/**
 * Where the sections of a file of `fileBytes` bytes begin, by its last bytes: at least footer and
 * directory.
 * @throws CORRUPTION naming `file`
 */
export function sectionsOffset(end: Uint8Array, fileBytes: number, file: string): number {
  const start = fileBytes - end.length
  const place = { file, offset: fileBytes - FOOTER_BYTES }
  try {
    const footer = decodeFooter(end.subarray(end.length - FOOTER_BYTES), fileBytes)
    const directoryAt = footer.directoryOffset - start
    const lines = end.subarray(directoryAt, directoryAt + footer.directoryBytes)
    return decodeDirectory(lines, footer)[0].offset
  } catch (error) {
    if (!(error instanceof MetastoreError && error.code === 'CORRUPTION')) throw error
    throw corruption(`${file}: offset ${place.offset}: ${error.message}`, place)
  }
}

/**
 * Decodes the last FOOTER_BYTES of a file of `fileBytes` bytes.
 * @throws CORRUPTION, also for a version that this reader does not know.
 */
export function decodeFooter(bytes: Uint8Array, fileBytes: number): TableFooter {
  if (!equalBytes(bytes.subarray(FOOTER_MAGIC_AT), TABLE_MAGIC)) {
    throw corruption('the file does not end as a table does')
  }
  verifyChecksum(bytes, FOOTER_CHECKSUM_AT, bytes.subarray(0, FOOTER_CHECKSUM_AT), 'the footer')
  const version = getU32(bytes, 12)
  if (version !== TABLE_VERSION) {
    throw corruption(`table version ${version} is not known, this reader knows ${TABLE_VERSION}`)
  }
  const directoryOffset = getU64(bytes, 0)
  const directoryBytes = getU32(bytes, 8)
  if (
    directoryBytes % DIRECTORY_LINE_BYTES !== 0 ||
    directoryBytes > SECTIONS_MAX * DIRECTORY_LINE_BYTES ||
    directoryOffset + directoryBytes + FOOTER_BYTES !== fileBytes
  ) {
    throw corruption(`the footer puts ${directoryBytes} bytes of directory at ${directoryOffset}`)
  }
  return { directoryOffset, directoryBytes, directoryChecksum: bytes.slice(16, 24) }
}

/**
 * Decodes the directory. Sections are in the order of the file and end where the directory begins.
 * @throws CORRUPTION when they do not, or when a type stands there twice.
 */
export function decodeDirectory(bytes: Uint8Array, footer: TableFooter): TableSection[] {
  verifyChecksum(footer.directoryChecksum, 0, bytes, 'the directory')
  const sections: TableSection[] = []
  const types = new Set<number>()
  for (let at = 0; at < bytes.length; at += DIRECTORY_LINE_BYTES) {
    const type = getU32(bytes, at)
    const offset = getU64(bytes, at + 4)
    const sizeBytes = getU64(bytes, at + 12)
    const last = sections.at(-1)
    const isAdjacent = last === undefined || offset === last.offset + last.sizeBytes
    if (!isAdjacent || offset + sizeBytes > footer.directoryOffset) {
      throw corruption(`section ${type} is out of place at ${offset}, ${sizeBytes} bytes`)
    }
    if (types.has(type)) throw corruption(`section ${type} stands there twice`)
    types.add(type)
    sections.push({ type, offset, sizeBytes, checksum: bytes.slice(at + 20, at + 28) })
  }
  const last = sections.at(-1)
  if (last === undefined || last.offset + last.sizeBytes !== footer.directoryOffset) {
    throw corruption('the sections do not end where the directory begins')
  }
  return sections
}
