/** Ranges as abstract-level hands them to implementations: bounds encoded, limit -1 for none. */
import { compareBytes } from '../../codec/bytes.ts'
import { RECORD_KEY_BYTES_MAX } from '../../codec/keys.ts'
import type { RecordBound } from '../../shared/reads/record-reads.ts'
import type { RecordScan } from '../record-store.ts'

export interface LevelRange {
  gt?: Uint8Array
  gte?: Uint8Array
  lt?: Uint8Array
  lte?: Uint8Array
  reverse: boolean
  /** -1: no limit. */
  limit: number
}

/** Of two bounds on one side the inclusive one counts, as abstract-level wants it. */
export function scanOfRange(
  { gt, gte, lt, lte, reverse }: LevelRange,
  values: boolean,
): RecordScan {
  return {
    lower: gte === undefined ? lowerBound(gt, false) : lowerBound(gte, true),
    upper: lte === undefined ? upperBound(lt, false) : upperBound(lte, true),
    reverse,
    values,
  }
}

/** How many rows a range may give. */
export function limitOf({ limit }: LevelRange): number {
  return limit < 0 ? Number.POSITIVE_INFINITY : limit
}

export function isInRange(key: Uint8Array, { lower, upper }: RecordScan): boolean {
  if (lower !== undefined) {
    const order = compareBytes(key, lower.key)
    if (order < 0 || (order === 0 && !lower.isInclusive)) return false
  }
  if (upper === undefined) return true
  const order = compareBytes(key, upper.key)
  return order < 0 || (order === 0 && upper.isInclusive)
}

/**
 * A key that is longer than any that is stored may be a bound: it lies right after the longest key
 * that it begins with.
 */
export function lowerBound(
  key: Uint8Array | undefined,
  isInclusive: boolean,
): RecordBound | undefined {
  if (key === undefined || key.length <= RECORD_KEY_BYTES_MAX) return bound(key, isInclusive)
  return bound(key.subarray(0, RECORD_KEY_BYTES_MAX), false)
}

export function upperBound(
  key: Uint8Array | undefined,
  isInclusive: boolean,
): RecordBound | undefined {
  if (key === undefined || key.length <= RECORD_KEY_BYTES_MAX) return bound(key, isInclusive)
  return bound(key.subarray(0, RECORD_KEY_BYTES_MAX), true)
}

function bound(key: Uint8Array | undefined, isInclusive: boolean): RecordBound | undefined {
  return key === undefined ? undefined : { key, isInclusive }
}
