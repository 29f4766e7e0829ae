/** Which metastore partition (domain) a topic partition belongs to, and keys for plain Maps. */
import { murmur2 } from '../../src/codec/murmur2.ts'
import { UUID_BYTES, uuidBytes } from '../../src/codec/uuid.ts'
import type { TopicPartition } from '../../src/shared/api.ts'

/** murmur2 over topic uuid ++ partition (int32, big-endian), unsigned, modulo `domains`. */
export function domainOf(tp: TopicPartition, domains: number): number {
  const bytes = new Uint8Array(UUID_BYTES + 4)
  bytes.set(uuidBytes(tp.topicId))
  new DataView(bytes.buffer).setInt32(UUID_BYTES, tp.partition)
  return murmur2(bytes) % domains
}

export function keyOf(tp: TopicPartition): string {
  return `${tp.topicId}/${tp.partition}`
}

/** By topic id, then by partition number. */
export function compareTopicPartitions(a: TopicPartition, b: TopicPartition): number {
  if (a.topicId !== b.topicId) return a.topicId < b.topicId ? -1 : 1
  return a.partition - b.partition
}
