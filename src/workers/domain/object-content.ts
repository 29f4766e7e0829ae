/**
 * The fingerprint of an object's content: footer, size and the set of extents. It is stored in the
 * object's row, so that a repeated addObjects is known for one; the way it is computed never
 * changes (docs/row-format.md). Two 32-bit hashes of each extent are summed, modulo 2^32 each, so
 * the order of extents does not matter.
 */
import { ByteWriter } from '../../codec/bytes.ts'
import { hash32 } from '../../codec/hash.ts'
import type { ObjectPart } from '../../shared/writes/parts.ts'

const SEEDS = [0x57415931, 0x4d41524b] as const
const scratch = new ByteWriter(128)

export function contentHash(
  object: ObjectPart,
  partitions: readonly { tp: Uint8Array }[],
): [number, number] {
  scratch.reset().u64(object.footerPosition).u64(object.sizeBytes).u64(object.extents.length)
  let first = hash32(scratch.bytes, 0, scratch.length, SEEDS[0])
  let second = hash32(scratch.bytes, 0, scratch.length, SEEDS[1])
  for (const extent of object.extents) {
    scratch.reset().raw(partitions[extent.partition].tp)
    scratch.u64(extent.baseOffset).u64(extent.lastOffset).u64(extent.maxTimestamp)
    scratch.u64(extent.position).u64(extent.sizeBytes)
    first = (first + hash32(scratch.bytes, 0, scratch.length, SEEDS[0])) >>> 0
    second = (second + hash32(scratch.bytes, 0, scratch.length, SEEDS[1])) >>> 0
  }
  return [first, second]
}
