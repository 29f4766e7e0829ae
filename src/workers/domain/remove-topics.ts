/**
 * removeTopics: first a marker for each topic, which keeps late writes out, then all rows of the
 * topics' partitions, in bounded atomic steps. Between steps a partition is a shorter, valid log.
 */
import type { ByteWriter } from '../../codec/bytes.ts'
import { keyTopicPartition, ROW_TYPE } from '../../codec/keys.ts'
import { decodePartition, encodeRemovedTopic } from '../../codec/rows.ts'
import { STEP_ROWS_MAX } from '../../shared/writes/write-kinds.ts'
import { ObjectChanges } from './object-changes.ts'
import { trimExtents } from './truncation.ts'
import { isTopicRemoved, keys, putPartition, scratch, type WriteContext } from './write-context.ts'

/** Answers u8 1 when nothing of the topics is left, 0 when another step is needed. */
export function removeTopics(
  context: WriteContext,
  topics: readonly Uint8Array[],
  out: ByteWriter,
): void {
  for (const topic of topics) {
    if (isTopicRemoved(context, topic)) continue
    const marker = encodeRemovedTopic(scratch, { removedAt: context.now })
    context.rows.put(keys.removedTopic(topic), marker)
  }
  const changes = new ObjectChanges(context)
  const budget = { rows: STEP_ROWS_MAX }
  let isDone = true
  for (const topic of topics) {
    isDone = removePartitions(context, changes, topic, budget) && isDone
    isDone = removeRows(context, ROW_TYPE.record, topic, budget) && isDone
  }
  changes.write()
  out.u8(isDone ? 1 : 0)
}

function removePartitions(
  context: WriteContext,
  changes: ObjectChanges,
  topic: Uint8Array,
  budget: { rows: number },
): boolean {
  const scan = context.view.cursor(keys.topicPrefix(ROW_TYPE.partition, topic))
  for (scan.seekFirst(); scan.valid; scan.next()) {
    if (budget.rows <= 0) return false
    const key = scan.key().slice()
    const tp = keyTopicPartition(key)
    const row = decodePartition(key, scan.value())
    const trimmed = trimExtents(context, changes, { tp, row, offset: row.nextOffset }, budget.rows)
    budget.rows -= row.extentCount - trimmed.extentCount
    if (trimmed.extentCount > 0) {
      putPartition(context, tp, trimmed)
      return false
    }
    const terms = context.view.cursor(keys.termPrefix(tp))
    for (terms.seekFirst(); terms.valid; terms.next()) context.rows.delete(terms.key())
    const compaction = keys.compaction(tp)
    if (context.view.get(compaction) !== undefined) context.rows.delete(compaction)
    context.rows.delete(key)
    budget.rows--
  }
  return true
}

/** Removes a topic's rows of one type. */
function removeRows(
  context: WriteContext,
  type: number,
  topic: Uint8Array,
  budget: { rows: number },
): boolean {
  const scan = context.view.cursor(keys.topicPrefix(type, topic))
  for (scan.seekFirst(); scan.valid; scan.next()) {
    if (budget.rows <= 0) return false
    budget.rows--
    context.rows.delete(scan.key())
  }
  return true
}
