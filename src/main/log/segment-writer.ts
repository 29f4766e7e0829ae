/**
 * Appends records to the newest segment in rounds: one write and one sync a round, and while a
 * round is under way the records of the next one gather (group commit).
 *
 *   append() -> filling ---- flush() ----> in flight -> durable
 *                  \-- segment is full --> sealed ------^
 *
 * A round lies in one segment. When a record does not fit, the filling round is sealed and the
 * next one begins a new segment, whose file is created when its turn comes: after all before it
 * is on disk. Runs on one thread; failures are reported once and end it.
 */

import { invalidRequest } from '../../codec/errors.ts'
import { encodeLogRecord, LOG_PAYLOAD_BYTES_MAX, logRecordBytes } from '../../codec/log-format.ts'
import {
  encodeSegmentHeader,
  LOG_FORMAT_VERSION,
  type LogGroupState,
  segmentHeaderBytes,
} from '../../codec/segment-header.ts'
import type { LogFiles } from './log-files.ts'
import { Segment, type SegmentTable } from './segment.ts'
import { settled, writeZeros } from './zero-fill.ts'

const FIRST_CHUNK_BYTES = 1048576
const CHUNK_BYTES = 8388608
const AHEAD_BYTES_MIN = 4194304
const ROUND_BYTES_MIN = 65536
/** Larger buffers are not kept for reuse. */
const SPARE_BYTES_MAX = 8388608
const SPARES_MAX = 2

export interface SegmentWriterOptions {
  readonly files: LogFiles
  readonly segments: SegmentTable
  readonly durability: 'fsync' | 'os'
  readonly segmentBytesMax: number
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
  /** Whether a write, a sync or a creation is under way for the round in flight. */
  #isBusy = false
  /** Headers of segments whose files do not exist yet. */
  readonly #headers = new Map<Segment, Uint8Array>()
  #isFlushWanted = false
  #isFailed = false
  #zeroFilled: Segment | null = null
  /** The round that has to wait for the zeros, because it reaches past what they cover. */
  #waiting: Round | null = null
  readonly #spares: Uint8Array[] = []
  readonly #idleWaiters: (() => void)[] = []
  /** Ticket of the last record appended. */
  lastTicket = 0
  durableTicket = 0
  /** Bytes appended and not durable yet. */
  pendingBytes = 0

  private constructor(options: SegmentWriterOptions, newest: Segment) {
    this.#options = options
    this.#filling = this.#newRound(newest)
  }

  /** Goes on after the newest segment's last record; an empty table gets its first segment. */
  static async start(options: SegmentWriterOptions): Promise<SegmentWriter> {
    const { segments } = options
    if (segments.count > 0) return new SegmentWriter(options, segments.newest)
    const segment = new Segment(1)
    const header = headerOf(options, segment, 0)
    await createSegment(options.files, segment, header)
    segments.add(segment)
    return new SegmentWriter(options, segment)
  }

  /** The segment that gets zeros now; its file must stay open. */
  get zeroFilled(): Segment | null {
    return this.#zeroFilled
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
      this.#wakeIdle()
    })
  }

  /** Ends all writing; what is under way is let finish. */
  stop(): void {
    this.#isFailed = true
  }

  #newRound(segment: Segment): Round {
    const bytes = this.#spares.pop() ?? new Uint8Array(ROUND_BYTES_MIN)
    return { segment, start: segment.end, bytes, length: 0, lastTicket: 0 }
  }

  #beginSegment(): void {
    const { segments } = this.#options
    const previous = this.#filling
    if (previous.length > 0) this.#sealed.push(previous)
    const segment = new Segment(previous.segment.sequence + 1)
    this.#headers.set(segment, headerOf(this.#options, segment, previous.segment.end))
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
    this.#isBusy = true
    if (round.segment.file === null) this.#createThenWrite(round)
    else this.#write(round)
  }

  #createThenWrite(round: Round): void {
    const { segment } = round
    const header = this.#headers.get(segment)
    if (header === undefined) throw new Error(`no header for ${segment.name}`)
    this.#headers.delete(segment)
    this.#syncPrevious(segment)
      .then(() => createSegment(this.#options.files, segment, header))
      .then(
        () => this.#write(round),
        error => this.#failRound(segment, error),
      )
  }

  /** Without a sync a round, a segment is still synced before the next begins: recovery's rule. */
  async #syncPrevious(segment: Segment): Promise<void> {
    const { file } = this.#options.segments.get(segment.sequence - 1)
    if (this.#options.durability === 'fsync' || file === null) return
    await settled(done => file.sync(done))
  }

  #write(round: Round): void {
    if (this.#isFailed) {
      this.#isBusy = false
      this.#wakeIdle()
      return
    }
    const { segment } = round
    const { file } = segment
    if (file === null) throw new Error(`${segment.name} is not open`)
    const end = round.start + round.length
    if (end > segment.allocatedBytes) {
      // Zeros on their way to the same place could land after the records.
      if (this.#zeroFilled === segment) {
        this.#waiting = round
        return
      }
      segment.allocatedBytes = end
    }
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
    this.#isBusy = false
    this.durableTicket = round.lastTicket
    this.pendingBytes -= round.length
    if (round.bytes.length <= SPARE_BYTES_MAX && this.#spares.length < SPARES_MAX) {
      this.#spares.push(round.bytes)
    }
    this.#fillAhead(round)
    // Whoever waited for this round may append at once; those records go out in the next round.
    // Were it started first, callers would split into two halves that each pay for a sync.
    this.#options.onProgress()
    this.#startRound()
    this.#wakeIdle()
  }

  /**
   * Zeros the next chunk, because overwriting allocated space syncs in half the time. The zeros
   * are not synced here: the next round's sync covers them, and so every error of a sync reaches
   * a round and none is used up by a sync that nobody waits for.
   */
  #fillAhead(round: Round): void {
    const { segment } = round
    const { file, allocatedBytes } = segment
    const { segmentBytesMax, segments } = this.#options
    if (this.#isFailed || this.#zeroFilled !== null || file === null) return
    if (segment !== segments.newest || allocatedBytes >= segmentBytesMax) return
    const end = round.start + round.length
    // Half of a small segment, so that a log which hardly grows stays at its first chunk.
    if (allocatedBytes - end >= Math.min(AHEAD_BYTES_MIN, allocatedBytes / 2)) return
    const to = Math.min(segmentBytesMax, allocatedBytes + CHUNK_BYTES)
    this.#zeroFilled = segment
    writeZeros(file, allocatedBytes, to, error => this.#filled(segment, to, error))
  }

  #filled(segment: Segment, allocatedBytes: number, error: Error | null): void {
    this.#zeroFilled = null
    if (error !== null) this.#fail(segment, error)
    else segment.allocatedBytes = allocatedBytes
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting !== null) this.#write(waiting)
    this.#options.onProgress()
    this.#wakeIdle()
  }

  #failRound(segment: Segment, error: Error): void {
    this.#isBusy = false
    this.#fail(segment, error)
    this.#wakeIdle()
  }

  #fail(segment: Segment, error: Error): void {
    if (this.#isFailed) return
    this.#isFailed = true
    this.#options.onFailure(segment.name, error)
  }

  #wakeIdle(): void {
    if (this.#isBusy || this.#zeroFilled !== null) return
    for (const wake of this.#idleWaiters.splice(0)) wake()
  }
}

function headerOf(
  options: SegmentWriterOptions,
  segment: Segment,
  previousEnd: number,
): Uint8Array {
  const groups = options.baseState()
  const headerBytes = segmentHeaderBytes(groups)
  const sizeBytesMin = Math.max(headerBytes, Math.min(FIRST_CHUNK_BYTES, options.segmentBytesMax))
  segment.headerBytes = headerBytes
  segment.end = headerBytes
  segment.syncedEnd = headerBytes
  segment.allocatedBytes = sizeBytesMin
  return encodeSegmentHeader({ sequence: segment.sequence, previousEnd, sizeBytesMin, groups })
}

/**
 * The file gets its name only when its first chunk, with the header, is on disk: whatever crash
 * comes, a file of that name has a header and at least that size.
 */
async function createSegment(files: LogFiles, segment: Segment, header: Uint8Array): Promise<void> {
  const unfinished = `${segment.name}.new`
  const file = await files.open(unfinished)
  try {
    // A crash may have left more than the first chunk under this name.
    segment.allocatedBytes = Math.max(file.sizeBytes, segment.allocatedBytes)
    await settled(done => writeZeros(file, 0, segment.allocatedBytes, done))
    await settled(done => file.write(header, header.length, 0, done))
    await settled(done => file.sync(done))
    await files.rename(unfinished, segment.name)
    await files.syncDirectory()
  } catch (error) {
    await file.close()
    throw error
  }
  segment.file = file
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
