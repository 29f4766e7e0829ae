/** Where new extents go among those a partition has: the plan of one partition's replacement. */
import { conflict } from '../../src/codec/errors.ts'
import type { PartitionModel } from './partition-model.ts'
import type { PlacedExtent } from './validation.ts'

/** New extents for the old ones from index `from` to before `to`. */
export interface Splice {
  from: number
  to: number
  extents: PlacedExtent[]
}

export interface Replacement {
  partition: PartitionModel
  /** Of all new extents, dropped ones included. */
  firstBaseOffset: number
  splices: Splice[]
  /** New extents wholly below the log start: they are not kept. */
  dropped: PlacedExtent[]
}

/**
 * @param extents sorted, not overlapping, at least one
 * @throws CONFLICT when an interval does not line up with the extents there are
 */
export function planReplacement(partition: PartitionModel, extents: PlacedExtent[]): Replacement {
  const { startOffset } = partition
  const isStale = (extent: PlacedExtent): boolean => extent.lastOffset < startOffset
  const splices: Splice[] = []
  for (const interval of intervalsOf(extents)) {
    const kept = interval.filter(extent => !isStale(extent))
    if (kept.length === 0) continue
    const last = interval[interval.length - 1].lastOffset
    const { from, to } = lineUp(partition, interval[0].baseOffset, last)
    splices.push({ from, to, extents: kept })
  }
  return {
    partition,
    firstBaseOffset: extents[0].baseOffset,
    splices,
    dropped: extents.filter(isStale),
  }
}

/** Maximal contiguous runs. */
function intervalsOf(extents: readonly PlacedExtent[]): PlacedExtent[][] {
  const intervals: PlacedExtent[][] = []
  for (const extent of extents) {
    const run = intervals.at(-1)
    if (run !== undefined && run[run.length - 1].lastOffset + 1 === extent.baseOffset) {
      run.push(extent)
    } else {
      intervals.push([extent])
    }
  }
  return intervals
}

function lineUp(
  partition: PartitionModel,
  base: number,
  last: number,
): { from: number; to: number } {
  const { extents, startOffset } = partition
  const end = partition.indexFrom(last)
  if (extents[end]?.lastOffset !== last) throw conflict(`no extent ends at ${last}`)
  // An interval from below the start stands for everything from the first extent on.
  if (base < startOffset) return { from: 0, to: end + 1 }
  const from = partition.indexFrom(base)
  if (extents[from].baseOffset !== base) throw conflict(`no extent begins at ${base}`)
  return { from, to: end + 1 }
}
