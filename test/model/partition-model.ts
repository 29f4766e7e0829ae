/** One topic partition: its extents, terms and compaction state, and every read of them. */
import { outOfRange } from '../../src/codec/errors.ts'
import type {
  CompactionInfo,
  ExtentQuery,
  LevelingInfo,
  TopicPartition,
} from '../../src/shared/api.ts'
import type { CompactionState } from './compaction-model.ts'
import { mergeRanges, subtractRange } from './ranges.ts'

export interface ExtentRow {
  baseOffset: number
  lastOffset: number
  maxTimestamp: number
  position: number
  sizeBytes: number
  objectId: string
}

export interface TermStart {
  term: number
  startOffset: number
}

export class PartitionModel {
  readonly topicPartition: TopicPartition
  startOffset = 0
  nextOffset = 0
  epoch = 0
  sizeBytes = 0
  /** In offset order, contiguous. */
  extents: ExtentRow[] = []
  /** Terms and offsets strictly increasing. */
  terms: TermStart[] = []
  compaction: CompactionState = { cleaned: [], tombstones: [] }

  constructor(topicPartition: TopicPartition) {
    this.topicPartition = topicPartition
  }

  /** Index of the first extent whose lastOffset is at or past `offset`. */
  indexFrom(offset: number): number {
    let low = 0
    let high = this.extents.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.extents[middle].lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  extentAt(offset: number): ExtentRow {
    if (offset >= this.nextOffset || this.extents.length === 0) {
      throw outOfRange(`offset ${offset} is not below ${this.nextOffset}, or the log is empty`)
    }
    return this.extents[this.indexFrom(offset)]
  }

  extentAtTimestamp(timestamp: number, minOffset: number): ExtentRow {
    for (let i = this.indexFrom(minOffset); i < this.extents.length; i++) {
      if (this.extents[i].maxTimestamp >= timestamp) return this.extents[i]
    }
    throw outOfRange(`no extent from offset ${minOffset} on reaches timestamp ${timestamp}`)
  }

  offsetForBytes(bytes: number): number {
    if (bytes === 0) return this.nextOffset
    let sum = 0
    for (let i = this.extents.length - 1; i >= 0; i--) {
      sum += this.extents[i].sizeBytes
      if (sum >= bytes) return Math.max(this.extents[i].baseOffset, this.startOffset)
    }
    throw outOfRange(`the log holds ${sum} bytes, not ${bytes}`)
  }

  termForOffset(offset: number): number {
    const start = this.terms.findLast(term => term.startOffset <= offset)
    if (offset > this.nextOffset || start === undefined) {
      throw outOfRange(`no term is known at offset ${offset}`)
    }
    return start.term
  }

  endOffsetForTerm(term: number): number {
    const last = this.terms.at(-1)
    if (last === undefined || term > last.term) throw outOfRange(`term ${term} is past the last`)
    if (term === last.term) return this.nextOffset
    const next = this.terms.find(start => start.term > term)
    return (next ?? last).startOffset
  }

  list(query: ExtentQuery): { rows: ExtentRow[]; endOfStream: boolean } {
    const { minOffset = 0, maxOffset = Number.MAX_SAFE_INTEGER, limit = 1000 } = query
    const found: ExtentRow[] = []
    for (let i = this.indexFrom(minOffset); i < this.extents.length; i++) {
      if (this.extents[i].baseOffset > maxOffset || minOffset > maxOffset) break
      found.push(this.extents[i])
    }
    if (query.reverse === true) found.reverse()
    return { rows: found.slice(0, limit), endOfStream: found.length <= limit }
  }

  compactionInfo(tombstoneRemovalBound: number): CompactionInfo {
    const { cleaned, tombstones } = this.compaction
    const { startOffset, nextOffset } = this
    const log = { baseOffset: startOffset, lastOffset: nextOffset - 1 }
    const whole = nextOffset > startOffset ? [log] : []
    const dirty = this.extents.filter(extent => {
      const base = Math.max(extent.baseOffset, startOffset)
      const inside = cleaned.some(r => r.baseOffset <= base && extent.lastOffset <= r.lastOffset)
      return !inside
    })
    const dirtyBytes = dirty.reduce((sum, extent) => sum + extent.sizeBytes, 0)
    return {
      dirtyRanges: cleaned.reduce((ranges, range) => subtractRange(ranges, range), whole),
      removableTombstoneRanges: mergeRanges(
        tombstones.filter(range => range.cleanedAt <= tombstoneRemovalBound),
      ),
      dirtyRatio: this.sizeBytes === 0 ? 0 : dirtyBytes / this.sizeBytes,
      earliestDirtyTimestamp:
        dirty.length === 0
          ? null
          : dirty.reduce((least, extent) => Math.min(least, extent.maxTimestamp), Infinity),
      epoch: this.epoch,
      startOffset,
    }
  }

  levelingInfo(minExtentBytes: number, maxRangeBytes: number): LevelingInfo {
    const ranges: LevelingInfo['ranges'] = []
    let run: ExtentRow[] = []
    let runBytes = 0
    const closeRun = (): void => {
      if (run.length >= 2) {
        ranges.push({
          baseOffset: Math.max(run[0].baseOffset, this.startOffset),
          lastOffset: run[run.length - 1].lastOffset,
          sizeBytes: runBytes,
          extentCount: run.length,
        })
      }
      run = []
      runBytes = 0
    }
    for (const extent of this.extents) {
      if (extent.sizeBytes >= minExtentBytes) {
        closeRun()
        continue
      }
      run.push(extent)
      runBytes += extent.sizeBytes
      if (runBytes >= maxRangeBytes) closeRun()
    }
    // More small extents may still follow an open run, so a light one is left to grow.
    if (runBytes >= minExtentBytes) closeRun()
    return { ranges, epoch: this.epoch }
  }
}
