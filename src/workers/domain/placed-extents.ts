/** A request's extents by partition, in offset order, each with the object it lies in. */
import type { ExtentPart, ObjectPart } from '../../shared/writes/parts.ts'

export interface PlacedExtent {
  extent: ExtentPart
  object: ObjectPart
}

/** One list for each of the request's partitions. */
export function placeExtents(
  objects: readonly ObjectPart[],
  partitionCount: number,
): PlacedExtent[][] {
  const lists: PlacedExtent[][] = Array.from({ length: partitionCount }, () => [])
  for (const object of objects) {
    for (const extent of object.extents) lists[extent.partition].push({ extent, object })
  }
  for (const list of lists) {
    if (list.length > 1) list.sort((a, b) => a.extent.baseOffset - b.extent.baseOffset)
  }
  return lists
}
