/**
 * Constants of the sorted table's format, version 1, shared by writer and readers
 * (docs/table-format.md). Everything is little-endian. Values here are on disk: to change one is to
 * make a new version.
 */
import { UUID_BYTES } from '../uuid.ts'

export const TABLE_VERSION = 1

/** The last bytes of every table: 'WMSORTED'. */
export const TABLE_MAGIC: Uint8Array = Uint8Array.of(87, 77, 83, 79, 82, 84, 69, 68)

/** Longest user key. */
export const TABLE_KEY_BYTES_MAX = 65535

/** Longest value; no write is larger than a log payload, which has the same limit. */
export const TABLE_VALUE_BYTES_MAX = 33554432

/** Largest file. Writers split at 64 MiB; this is what a reader believes. */
export const TABLE_BYTES_MAX: number = 2 ** 30

/** Raw bytes of a block, unless the writer's options say otherwise. */
export const BLOCK_BYTES_DEFAULT = 8192
export const BLOCK_BYTES_MAX = 1048576

/** Of so many entries the first keeps its whole key, and its offset is in the block's tail. */
export const RESTART_INTERVAL_ROWS = 16

/** The longest head of an entry: three varints of lengths and the sequence. */
export const ENTRY_HEAD_BYTES_MAX = 32

/** Least block: one entry of four one-byte varints, one restart and the restart count. */
export const BLOCK_RAW_BYTES_MIN = 12

/** A block is larger than BLOCK_BYTES_MAX only when it holds a single row. */
export const BLOCK_RAW_BYTES_MAX: number =
  BLOCK_BYTES_MAX + TABLE_KEY_BYTES_MAX + TABLE_VALUE_BYTES_MAX + ENTRY_HEAD_BYTES_MAX + 8

/** After the stored bytes of a block: u8 compression, u64 XXH64 over both. */
export const BLOCK_TRAILER_BYTES = 9
export const CHECKSUM_BYTES = 8

export const BLOCK_COMPRESSION = { none: 0, lz4: 1 } as const

/** Compressed bytes are kept when they are at most this share of the raw ones. */
export const COMPRESSED_SHARE_MAX: number = 7 / 8

export const SECTION_TYPE = {
  properties: 1,
  index: 2,
  keyFilter: 3,
  prefixFilter: 4,
  timestamps: 5,
} as const
export type SectionType = (typeof SECTION_TYPE)[keyof typeof SECTION_TYPE]

/** One line of the directory: u32 type, u64 offset, u64 size, u64 XXH64 of the section. */
export const DIRECTORY_LINE_BYTES = 28
export const SECTIONS_MAX = 64

/**
 * The end of the file: u64 directory offset, u32 directory size, u32 version, u64 XXH64 of the
 * directory, u64 XXH64 of the bytes of the footer so far, 8 bytes magic.
 */
export const FOOTER_BYTES = 40

export const DOMAIN_BYTES: number = UUID_BYTES

/** Index line: u32 each of key end, stored size, raw size and row count. */
export const INDEX_HEAD_BYTES = 8
export const INDEX_LINE_BYTES = 16

/** Timestamps line: two f64. */
export const TIMESTAMPS_LINE_BYTES = 16

export const FILTER_BITS_PER_KEY = 10
export const FILTER_PROBES = 7
export const FILTER_PROBES_MAX = 30
export const FILTER_SEEDS: readonly [number, number] = [0x5bd1e995, 0x27d4eb2f]
