/** The number and id rules of the API, one function a kind; each refuses with INVALID_REQUEST. */
import { invalidRequest } from '../../src/codec/errors.ts'
import { isUuid } from '../../src/codec/uuid.ts'
import type { OffsetRange, TopicPartition } from '../../src/shared/api.ts'

const PARTITION_MAX = 2 ** 31 - 1
const LAST_OFFSET_MAX = 2 ** 53 - 2

/** Throws INVALID_REQUEST saying `message` unless `holds`. */
export function require(holds: boolean, message: string): void {
  if (!holds) throw invalidRequest(message)
}

export function checkNumber(
  field: string,
  value: unknown,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  const good = Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
  require(good, `${field} must be an integer from 0 to ${max}, not ${String(value)}`)
}

export function checkLastOffset(field: string, value: unknown): void {
  checkNumber(field, value, LAST_OFFSET_MAX)
}

export function checkUuid(field: string, value: unknown): void {
  require(isUuid(value), `${field} must be a lower-case UUID, not ${String(value)}`)
}

export function checkObject(field: string, value: unknown): void {
  require(typeof value === 'object' && value !== null, `${field} must be an object`)
}

export function checkArray(field: string, value: unknown): void {
  require(Array.isArray(value), `${field} must be an array`)
}

export function checkTopicPartition(field: string, tp: TopicPartition): void {
  checkObject(field, tp)
  checkUuid(`${field}.topicId`, tp.topicId)
  checkNumber(`${field}.partition`, tp.partition, PARTITION_MAX)
}

/** Numbers, and base ≤ last. */
export function checkRange(field: string, range: OffsetRange): void {
  checkObject(field, range)
  checkNumber(`${field}.baseOffset`, range.baseOffset)
  checkLastOffset(`${field}.lastOffset`, range.lastOffset)
  require(range.baseOffset <=
    range.lastOffset, `${field} is inverted: ${range.baseOffset} > ${range.lastOffset}`)
}

/** Each range good, ascending, no two overlapping. */
export function checkRangeList(field: string, ranges: readonly OffsetRange[]): void {
  checkArray(field, ranges)
  ranges.forEach((range, i) => {
    checkRange(`${field}[${i}]`, range)
    require(i === 0 ||
      range.baseOffset >
        ranges[i - 1].lastOffset, `${field}[${i}] is out of order or overlaps the one before`)
  })
}
