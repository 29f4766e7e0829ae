/** RecordStore's put, delete and batch: rows of callers' own kinds. */
import { encodeRecord } from '../../codec/rows.ts'
import type { RecordOperation, RecordsPart } from '../../shared/writes/parts.ts'
import { keys, refuseRemovedTopic, scratch, type WriteContext } from './write-context.ts'

/** Answers nothing. Of several operations on one key the last counts. */
export function writeRecords(context: WriteContext, part: RecordsPart): void {
  refuseRemovedTopic(context, part.tp)
  const last = new Map<string, RecordOperation>()
  for (const operation of part.operations) {
    last.set(Buffer.from(operation.key).toString('latin1'), operation)
  }
  for (const { key, value } of last.values()) {
    const rowKey = keys.record(part.tp, part.kind, key)
    if (value !== undefined) context.rows.put(rowKey, encodeRecord(scratch, value))
    else if (context.view.get(rowKey) !== undefined) context.rows.delete(rowKey)
  }
}
