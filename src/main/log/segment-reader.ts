/**
 * Reads the records of one segment and looks at what comes after the last good one. It decides
 * nothing: recovery does, from what is returned here (docs/log-format.md, "Recovery").
 */
import {
  decodeLogRecord,
  emptyLogRecord,
  LOG_ALIGNMENT_BYTES,
  LOG_SEGMENT_HEADER,
  type LogRecord,
} from '../../codec/log-format.ts'
import { contentEnd } from './zero-fill.ts'

export interface SegmentScan {
  /** Where the records that can be read from the start end. */
  end: number
  /** Where the last byte that is not zero ends. */
  contentEnd: number
  /** The greatest append start among the valid records after `end`; -1 when there is none. */
  laterAppendStartMax: number
}

/**
 * Calls `visit` for each record from the start up to the first bad one.
 * `record` is borrowed for the call.
 */
export function scanSegment(
  bytes: Uint8Array,
  visit: (record: LogRecord, offset: number, sizeBytes: number) => void,
): SegmentScan {
  const record = emptyLogRecord()
  let end = 0
  for (;;) {
    const sizeBytes = recordAt(bytes, end, record)
    if (sizeBytes === 0) break
    visit(record, end, sizeBytes)
    end += sizeBytes
  }
  const content = contentEnd(bytes)
  return {
    end,
    contentEnd: content,
    laterAppendStartMax: laterAppendStartMax(bytes, end, content, record),
  }
}

function laterAppendStartMax(
  bytes: Uint8Array,
  from: number,
  to: number,
  record: LogRecord,
): number {
  let max = -1
  let at = from + LOG_ALIGNMENT_BYTES
  while (at < to) {
    const sizeBytes = recordAt(bytes, at, record)
    if (sizeBytes > 0) max = Math.max(max, record.appendStart)
    at += sizeBytes > 0 ? sizeBytes : LOG_ALIGNMENT_BYTES
  }
  return max
}

/** A record is valid where it stands: a header only at 0, no append that begins after it. */
function recordAt(bytes: Uint8Array, at: number, record: LogRecord): number {
  const sizeBytes = decodeLogRecord(bytes, at, bytes.length, record)
  if (sizeBytes === 0) return 0
  if ((record.type === LOG_SEGMENT_HEADER) !== (at === 0)) return 0
  return record.appendStart <= at ? sizeBytes : 0
}
