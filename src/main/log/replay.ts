/** Streams the live entries that recovery found, in log order, a segment in memory at a time. */
import { corruption } from '../../codec/errors.ts'
import {
  decodeLogRecord,
  emptyLogRecord,
  LOG_ENTRY,
  type LogRecord,
} from '../../codec/log-format.ts'
import type { LogEntry } from './entry-reader.ts'
import type { GroupTable } from './group-table.ts'
import type { Segment } from './segment.ts'

/** `payload` is borrowed until it returns or its promise resolves. */
export type EntryVisitor = (entry: LogEntry) => void | Promise<void>

/** @throws CORRUPTION when a file changed since the log was opened. */
export async function replaySegments(
  segments: readonly Segment[],
  groups: GroupTable,
  visit: EntryVisitor,
): Promise<void> {
  let buffer: Uint8Array = new Uint8Array(0)
  for (const segment of [...segments]) {
    const { file, recoveredEnd } = segment
    if (file === null) continue
    if (buffer.length < recoveredEnd) buffer = new Uint8Array(recoveredEnd)
    const bytes = buffer.subarray(0, recoveredEnd)
    await file.read(bytes, 0)
    await replaySegment(segment, bytes, groups, visit)
  }
}

async function replaySegment(
  segment: Segment,
  bytes: Uint8Array,
  groups: GroupTable,
  visit: EntryVisitor,
): Promise<void> {
  const record = emptyLogRecord()
  let at = 0
  while (at < bytes.length) {
    const sizeBytes = decodeLogRecord(bytes, at, bytes.length, record)
    if (sizeBytes === 0) {
      const file = segment.name
      const message = `${file}: the record at ${at} has changed since the log was opened`
      throw corruption(message, { file, offset: at })
    }
    if (record.type === LOG_ENTRY && isLive(groups, segment, record, at)) {
      const { group, term, index, kind, payloadStart, payloadBytes } = record
      const payload = bytes.subarray(payloadStart, payloadStart + payloadBytes)
      const visited = visit({ group, term, index, kind, payload })
      // Most visitors are synchronous, and an await a record would cost more than the record.
      if (visited !== undefined) await visited
    }
    at += sizeBytes
  }
}

function isLive(groups: GroupTable, segment: Segment, record: LogRecord, offset: number): boolean {
  const index = groups.get(record.group)
  if (index === undefined) return false
  const slot = index.slotOf(record.index)
  if (slot < 0) return false
  return index.sequenceAt(slot) === segment.sequence && index.offsetAt(slot) === offset
}
