/**
 * Appends records to the newest segment in rounds: one write and one sync a round, and while a
 * round is under way the records of the next one gather (group commit).
 *
 *   append() -> filling ---- flush() ----> in flight -> durable
 *                  \-- segment is full --> sealed ------^
 *
 * A round lies in one segment. When a record does not fit, the filling round is sealed and the
 * next one begins a new segment, whose file is created when its turn comes: after all before it
 * is on disk. A round is written when its place is allocated (space-ahead.ts), and waits for that
 * while the disk is full. Runs on one thread; failures are reported once and end it.
 */
import { invalidRequest } from '../../codec/errors.ts'
import { encodeLogRecord, LOG_PAYLOAD_BYTES_MAX, logRecordBytes } from '../../codec/log-format.ts'
import { LOG_FORMAT_VERSION, type LogGroupState } from '../../codec/segment-header.ts'
import type { Segment } from './segment.ts'
import { newSegment } from './segment-creation.ts'
import { SpaceAhead, type SpaceAheadOptions } from './space-ahead.ts'

const ROUND_BYTES_MIN = 65536
/** Larger buffers are not kept for reuse. */
const SPARE_BYTES_MAX = 8388608
const SPARES_MAX = 2

export interface SegmentWriterOptions extends SpaceAheadOptions {
  /** The groups' state after all records appended so far, for the header of a new segment. */
  readonly baseState: () => LogGroupState[]
  /** A round is durable or a background write ended. */
  readonly onProgress: () => void
  readonly onFailure: (file: string, error: Error) => void
}

/** The bytes of one write. */
interface Round {
  segment: Segment
  /** Offset in the segment. */
  start: number
  bytes: Uint8Array
  length: number
  lastTicket: number
}

/** Bytes that hold a record which is not on disk yet; borrowed until the next turn. */
export interface BufferedRecord {
  bytes: Uint8Array
  at: number
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  #filling: Round
  readonly #sealed: Round[] = []
  /** Stays after a failure, so that its records can still be read back. */
  #inFlight: Round | null = null
  /** Whether a write or a sync of the round in flight is under way; else it waits for room. */
  #isWriting = false
  #isFlushWanted = false
  #isFailed = false
  readonly #space: SpaceAhead
  readonly #spares: Uint8Array[] = []
  readonly #idleWaiters: (() => void)[] = []
  readonly #stuckWaiters: (() => void)[] = []
  /** Ticket of the last record appended. */
  lastTicket = 0
  durableTicket = 0
  /** Bytes appended and not durable yet. */
  pendingBytes = 0

  private constructor(options: SegmentWriterOptions) {
    this.#options = options
    this.#filling = this.#newRound(options.segments.newest)
    this.#space = new SpaceAhead(options, {
      onStep: () => this.#onStep(),
      onFailure: (file, error) => this.#fail(file, error),
    })
  }

  /** Goes on after the newest segment's last record; an empty table gets its first segment. */
  static async start(options: SegmentWriterOptions): Promise<SegmentWriter> {
    const { segments, segmentBytesMax } = options
    const isNew = segments.count === 0
    if (isNew) segments.add(newSegment(1, 0, options.baseState(), segmentBytesMax))
    const writer = new SegmentWriter(options)
    try {
      if (isNew) await writer.#space.createFirst()
      return writer
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  /** The segment that gets zeros now; its file must stay open. */
  get zeroFilled(): Segment | null {
    return this.#space.filled
  }

  /** Whether there is less room ahead than wanted because the disk is full. */
  get isFull(): boolean {
    return this.#space.isFull
  }

  /**
   * Encodes a record; `payload` is copied. Its segment is the table's newest afterwards.
   * @returns the record's offset in its segment.
   * @throws INVALID_REQUEST for a payload of more than LOG_PAYLOAD_BYTES_MAX.
   */
  append(
    type: number,
    kind: number,
    group: number,
    term: number,
    index: number,
    payload: Uint8Array,
  ): number {
    if (payload.length > LOG_PAYLOAD_BYTES_MAX) {
      throw invalidRequest(
        `a log record holds at most ${LOG_PAYLOAD_BYTES_MAX} bytes, not ${payload.length}`,
      )
    }
    const sizeBytes = logRecordBytes(payload.length)
    let { segment } = this.#filling
    // A record larger than a segment gets a segment of its own.
    const isFull = segment.end + sizeBytes > this.#options.segmentBytesMax
    // A program that knows an older version only must not take a newer record for a torn one.
    const isOld = segment.formatVersion !== LOG_FORMAT_VERSION
    if (isOld || (isFull && segment.end > segment.headerBytes)) {
      this.#beginSegment()
      segment = this.#filling.segment
    }
    const round = this.#filling
    const at = round.length
    if (at + sizeBytes > round.bytes.length) growRound(round, at + sizeBytes)
    const appendStart = this.#options.durability === 'fsync' ? round.start : segment.syncedEnd
    encodeLogRecord(round.bytes, at, type, kind, group, appendStart, term, index, payload)
    round.length = at + sizeBytes
    round.lastTicket = ++this.lastTicket
    segment.end += sizeBytes
    this.pendingBytes += sizeBytes
    return round.start + at
  }

  /** Starts writing what was appended; if a round is under way, the next one follows it. */
  flush(): void {
    this.#isFlushWanted = true
    this.#startRound()
  }

  /** Where the record at this place is while it is not durable; null when it is in the file. */
  buffered(sequence: number, offset: number): BufferedRecord | null {
    if (holds(this.#filling, sequence, offset)) return bufferedIn(this.#filling, offset)
    if (this.#inFlight !== null && holds(this.#inFlight, sequence, offset)) {
      return bufferedIn(this.#inFlight, offset)
    }
    const sealed = this.#sealed.find(round => holds(round, sequence, offset))
    return sealed === undefined ? null : bufferedIn(sealed, offset)
  }

  /** Resolves when no write and no sync is under way. */
  idle(): Promise<void> {
    return new Promise(resolve => {
      this.#idleWaiters.push(resolve)
      this.#wake()
    })
  }

  /** Resolves when a round waits for room on a full disk. */
  stuck(): Promise<void> {
    return new Promise(resolve => {
      this.#stuckWaiters.push(resolve)
      this.#wake()
    })
  }

  /** Ends all writing; what is under way is let finish. */
  stop(): void {
    this.#isFailed = true
    this.#space.stop()
  }

  /** Closes the file that was to become a segment. Call it after stop() and idle(). */
  close(): Promise<void> {
    return this.#space.close()
  }

  #newRound(segment: Segment): Round {
    const bytes = this.#spares.pop() ?? new Uint8Array(ROUND_BYTES_MIN)
    return { segment, start: segment.end, bytes, length: 0, lastTicket: 0 }
  }

  #beginSegment(): void {
    const { segments, segmentBytesMax, baseState } = this.#options
    const previous = this.#filling
    if (previous.length > 0) this.#sealed.push(previous)
    const { sequence, end } = previous.segment
    const segment = newSegment(sequence + 1, end, baseState(), segmentBytesMax)
    segments.add(segment)
    this.#filling = this.#newRound(segment)
  }

  #startRound(): void {
    if (!this.#isFlushWanted || this.#inFlight !== null || this.#isFailed) return
    let round = this.#sealed.shift()
    if (round === undefined) {
      this.#isFlushWanted = false
      if (this.#filling.length === 0) return
      round = this.#filling
      this.#filling = this.#newRound(round.segment)
    }
    this.#inFlight = round
    this.#writeInFlight()
  }

  /** Writes the round in flight if its place is there; else SpaceAhead calls when it may be. */
  #writeInFlight(): void {
    const round = this.#inFlight
    if (round === null || this.#isWriting || this.#isFailed) return
    const { segment } = round
    if (!this.#space.reserve(segment, round.start + round.length)) return
    const { file } = segment
    if (file === null) throw new Error(`${segment.name} is not open`)
    this.#isWriting = true
    file.write(round.bytes, round.length, round.start, error => {
      if (error !== null) this.#failRound(segment, error)
      else if (this.#options.durability === 'os') this.#complete(round)
      else file.sync(failure => this.#synced(round, failure))
    })
  }

  #synced(round: Round, error: Error | null): void {
    if (error === null) this.#complete(round)
    else this.#failRound(round.segment, error)
  }

  #complete(round: Round): void {
    this.#inFlight = null
    this.#isWriting = false
    this.durableTicket = round.lastTicket
    this.pendingBytes -= round.length
    if (round.bytes.length <= SPARE_BYTES_MAX && this.#spares.length < SPARES_MAX) {
      this.#spares.push(round.bytes)
    }
    this.#space.keepAhead()
    // Whoever waited for this round may append at once; those records go out in the next round.
    // Were it started first, callers would split into two halves that each pay for a sync.
    this.#options.onProgress()
    this.#startRound()
    this.#wake()
  }

  #onStep(): void {
    this.#writeInFlight()
    this.#options.onProgress()
    this.#wake()
  }

  #failRound(segment: Segment, error: Error): void {
    this.#isWriting = false
    this.#fail(segment.name, error)
    this.#wake()
  }

  #fail(file: string, error: Error): void {
    if (this.#isFailed) return
    this.stop()
    this.#options.onFailure(file, error)
  }

  #wake(): void {
    const isWaiting = this.#inFlight !== null && !this.#isWriting
    if (isWaiting && this.#space.isWaiting) for (const wake of this.#stuckWaiters.splice(0)) wake()
    if (this.#isWriting || this.#space.isBusy) return
    for (const wake of this.#idleWaiters.splice(0)) wake()
  }
}

function growRound(round: Round, bytesMin: number): void {
  const grown = new Uint8Array(Math.max(bytesMin, round.bytes.length * 2))
  grown.set(round.bytes.subarray(0, round.length))
  round.bytes = grown
}

function holds(round: Round, sequence: number, offset: number): boolean {
  const isThere = offset >= round.start && offset < round.start + round.length
  return isThere && round.segment.sequence === sequence
}

function bufferedIn(round: Round, offset: number): BufferedRecord {
  return { bytes: round.bytes, at: offset - round.start }
}
