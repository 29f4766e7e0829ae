/**
 * What the state machine works with: a view of the newest state, the rows of the batch in the
 * making, and the clock and ids as arguments. Nothing is changed until the batch is inserted, so a
 * refusal at any point leaves no trace.
 */
import { ByteWriter } from '../../codec/bytes.ts'
import { conflict } from '../../codec/errors.ts'
import { KeyBuilder } from '../../codec/keys.ts'
import type { RowBatchBuilder } from '../../codec/row-batch.ts'
import { decodeRemovedTopic, encodePartition, type PartitionRow } from '../../codec/rows.ts'
import { formatUuid } from '../../codec/uuid.ts'
import type { ReadView } from '../../shared/read-view.ts'
import { describeTp } from '../../shared/reads/read.ts'

/** How long a removed topic's marker keeps late writes out. */
export const REMOVED_TOPIC_MS: number = 24 * 60 * 60 * 1000

export interface WriteContext {
  readonly view: ReadView
  readonly rows: RowBatchBuilder
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Writes the 16 bytes of a fresh random id. */
  readonly newId: (into: Uint8Array) => void
}

/** Scratch of the state machine's thread. */
export const keys: KeyBuilder = new KeyBuilder()
export const scratch: ByteWriter = new ByteWriter(1024)

/** @throws CONFLICT when the partition's extents are too many bytes to count */
export function putPartition(context: WriteContext, tp: Uint8Array, row: PartitionRow): void {
  if (row.sizeBytes > Number.MAX_SAFE_INTEGER) {
    throw conflict(`the extents of ${describeTp(tp)} would be more than 2^53 - 1 bytes`)
  }
  context.rows.put(keys.partition(tp), encodePartition(scratch, row))
}

/** Whether the topic of `tp` (or the topic itself) was removed and the marker still holds. */
export function isTopicRemoved(context: WriteContext, topic: Uint8Array): boolean {
  const key = keys.removedTopic(topic.subarray(0, 16))
  const value = context.view.get(key)
  return (
    value !== undefined && context.now - decodeRemovedTopic(key, value).removedAt < REMOVED_TOPIC_MS
  )
}

/** @throws CONFLICT when the topic of `tp` was removed */
export function refuseRemovedTopic(context: WriteContext, tp: Uint8Array): void {
  if (isTopicRemoved(context, tp)) throw conflict(`topic ${formatUuid(tp)} was removed`)
}
