/** The segments of one log, oldest first, and how many live entries each still holds. */
import { LOG_FORMAT_VERSION, segmentName } from '../../codec/segment-header.ts'
import type { LogFile } from './log-files.ts'

export class Segment {
  readonly sequence: number
  readonly name: string
  /** Null until the file exists under its name, with its header on disk. */
  file: LogFile | null = null
  /** Version of its format; nothing is added to one of an older version. */
  formatVersion: number = LOG_FORMAT_VERSION
  /** Its first record; null once the file exists. */
  header: Uint8Array | null = null
  headerBytes = 0
  /** Where the records end, those not written yet included. */
  end = 0
  /** Where the records ended when the log was opened. */
  recoveredEnd = 0
  /** Bytes before this offset were on disk when the log was opened or the segment created. */
  syncedEnd = 0
  /** Zeros were written up to here, so that records before it need no more room on disk. */
  allocatedBytes = 0
  /** How far allocatedBytes is to come. */
  targetBytes = 0
  /** Entries in here that were neither cut nor replaced. */
  liveEntries = 0
  /** Ticket of the last record that made an entry in here dead. */
  lastDropTicket = 0

  constructor(sequence: number) {
    this.sequence = sequence
    this.name = segmentName(sequence)
  }
}

export class SegmentTable {
  readonly #segments: Segment[] = []

  /** `segment` has the sequence after that of the newest. */
  add(segment: Segment): void {
    this.#segments.push(segment)
  }

  all(): readonly Segment[] {
    return this.#segments
  }

  get count(): number {
    return this.#segments.length
  }

  get oldest(): Segment {
    return this.#segments[0]
  }

  get newest(): Segment {
    return this.#segments[this.#segments.length - 1]
  }

  get sizeBytes(): number {
    let sum = 0
    for (const segment of this.#segments) sum += segment.end
    return sum
  }

  get(sequence: number): Segment {
    return this.#segments[sequence - this.#segments[0].sequence]
  }

  entryDropped(sequence: number, ticket: number): void {
    const segment = this.get(sequence)
    segment.liveEntries--
    segment.lastDropTicket = ticket
  }

  async closeFiles(): Promise<void> {
    for (const segment of this.#segments) {
      const { file } = segment
      segment.file = null
      await file?.close()
    }
  }

  removeOldest(): void {
    this.#segments.shift()
  }

  /**
   * The oldest segment, if it can go: nothing in it is live, the records that made it so are on
   * disk, and so is the header of the segment after it, which carries the groups' state. Only the
   * oldest may go, because a gap between sequences reads as CORRUPTION.
   */
  removable(durableTicket: number): Segment | null {
    if (this.#segments.length < 2) return null
    const [oldest, next] = this.#segments
    if (oldest.liveEntries > 0 || oldest.lastDropTicket > durableTicket) return null
    return next.file === null ? null : oldest
  }
}
