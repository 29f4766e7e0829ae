/**
 * The log of one node: one file sequence shared by all Raft groups, which is the write-ahead log
 * (docs/log-format.md). append(), setHardState(), setConfiguration() and cut() only encode into
 * memory and return a ticket; flush(), called once a turn, starts the write; onDurable reports
 * tickets.
 *
 * Main thread only. Backpressure is the caller's: `pendingBytes`, and `isFull`: on a full disk what
 * was appended waits until there is room. After a failed write or sync nothing is retried, because
 * nobody knows what is on disk: onFatal is called once and every later append throws.
 */
import { MetastoreError } from '../../codec/errors.ts'
import {
  encodeVote,
  LOG_CONFIGURATION,
  LOG_CUT,
  LOG_CUT_DROPS_SUFFIX,
  LOG_CUT_KEEPS_SUFFIX,
  LOG_ENTRY,
  LOG_HARD_STATE,
  logRecordBytes,
} from '../../codec/log-format.ts'
import { EntryReader, type LogEntry } from './entry-reader.ts'
import type { LogGroup } from './group-index.ts'
import { GroupTable } from './group-table.ts'
import { type LogFiles, openLogFiles } from './log-files.ts'
import { type LogLogger, recoverSegments } from './recovery.ts'
import { replaySegments } from './replay.ts'
import { SegmentTable } from './segment.ts'
import { SegmentRemoval } from './segment-removal.ts'
import { SegmentWriter } from './segment-writer.ts'
import type { Schedule } from './space-ahead.ts'

const SEGMENT_BYTES_MAX = 67108864
const SEGMENT_BYTES_LEAST = 4096
/** Offsets in a segment are 32 bits, and a record of the greatest size must still fit. */
const SEGMENT_BYTES_MOST = 2147483648

const NO_PAYLOAD: Uint8Array = new Uint8Array(0)

export interface DiskLogOptions {
  /** Created when absent. The caller holds the lock that keeps other processes out. */
  readonly directory: string
  /** What onDurable means: on disk, or handed to the operating system. */
  readonly durability: 'fsync' | 'os'
  /** Bytes, 4 KiB to 2 GiB; default 64 MiB. A larger record gets a segment of its own. */
  readonly segmentBytesMax?: number
  readonly logger?: LogLogger
  /** Called once, with UNAVAILABLE: the log takes nothing any more. */
  readonly onFatal: (error: Error) => void
  /** The disk; default the real one. */
  readonly files?: LogFiles
  /** Default a timer of the process that does not keep it alive. */
  readonly schedule?: Schedule
}

interface Waiter {
  ticket: number
  resolve: () => void
  reject: (error: Error) => void
}

export class DiskLog {
  /** Everything up to this ticket is durable; called once a round. */
  onDurable: (ticket: number) => void = () => {}
  readonly #options: DiskLogOptions
  readonly #segments: SegmentTable
  readonly #groups: GroupTable
  readonly #writer: SegmentWriter
  #reportedTicket = 0
  #waiters: Waiter[] = []
  #fatal: Error | null = null
  /** Set when close() gave up what was not durable. */
  #dropped: Error | null = null
  #closing: Promise<void> | null = null
  readonly #removal: SegmentRemoval
  #replaysUnderWay = 0

  private constructor(
    options: DiskLogOptions,
    files: LogFiles,
    segments: SegmentTable,
    groups: GroupTable,
    writer: SegmentWriter,
  ) {
    this.#options = options
    this.#segments = segments
    this.#groups = groups
    this.#writer = writer
    this.#removal = new SegmentRemoval({
      files,
      segments,
      durability: options.durability,
      durableTicket: () => (this.#mayRemove ? this.#reportedTicket : undefined),
      inUse: () => writer.zeroFilled,
      onFailure: (file, error) => this.#fail(file, error),
    })
  }

  /**
   * Opens or creates the log, and cuts a torn tail, which is reported through the logger.
   * @throws CORRUPTION, details {file, offset}, when something that was durable does not read.
   * @throws RangeError for a bad segmentBytesMax; errors of node:fs as they are.
   */
  static async open(options: DiskLogOptions): Promise<DiskLog> {
    const { segmentBytesMax = SEGMENT_BYTES_MAX } = options
    const isInRange =
      segmentBytesMax >= SEGMENT_BYTES_LEAST && segmentBytesMax <= SEGMENT_BYTES_MOST
    if (!isInRange || segmentBytesMax % 8 !== 0) {
      throw new RangeError(
        `segmentBytesMax is ${segmentBytesMax}, not a multiple of 8 from 4 KiB to 2 GiB`,
      )
    }
    const files = options.files ?? (await openLogFiles(options.directory))
    const segments = new SegmentTable()
    const groups = new GroupTable(segments)
    try {
      await recoverSegments(files, segments, groups, options.logger)
      groups.checkWhole()
      const writer = await SegmentWriter.start({
        files,
        segments,
        durability: options.durability,
        segmentBytesMax,
        schedule: options.schedule ?? scheduleTimer,
        logger: options.logger,
        baseState: () => groups.states(),
        onProgress: () => log.#progressed(),
        onFailure: (file, error) => log.#fail(file, error),
      })
      const log = new DiskLog(options, files, segments, groups, writer)
      log.#removal.start()
      return log
    } catch (error) {
      await segments.closeFiles()
      throw error
    }
  }

  /**
   * Visits every live entry that was there at open(), in log order, one segment in memory at a
   * time; call it before anything is appended. `payload` is borrowed until `visit` returns or its
   * promise resolves; a promise holds the replay back.
   * @throws CORRUPTION when the file changed since open().
   */
  async replay(visit: (entry: LogEntry) => void | Promise<void>): Promise<void> {
    this.#replaysUnderWay++
    try {
      await replaySegments(this.#segments.all(), this.#groups, visit)
    } finally {
      this.#replaysUnderWay--
      this.#removal.start()
    }
  }

  groups(): LogGroup[] {
    return Array.from(this.#groups.all(), index => index.state)
  }

  /** The group as groups() has it; undefined when nothing was ever written of it. */
  groupState(group: number): LogGroup | undefined {
    return this.#groups.get(group)?.state
  }

  /** Index of the first entry that was not cut; 1 in a group that is not known. */
  firstIndex(group: number): number {
    return (this.#groups.get(group)?.cutIndex ?? 0) + 1
  }

  /** Index of the last entry, durable or not, or that of the cut when there is none behind it. */
  lastIndex(group: number): number {
    return this.#groups.get(group)?.lastIndex ?? 0
  }

  /**
   * Term of the entry at `index`, durable or not, or of the cut: known from firstIndex() - 1 to
   * lastIndex(), undefined elsewhere. In a log that was never cut, that of index 0 is 0.
   */
  term(group: number, index: number): number | undefined {
    const known = this.#groups.get(group)
    if (known === undefined) return index === 0 ? 0 : undefined
    return known.termOf(index)
  }

  /**
   * Adds an entry, which replaces the group's entry at `index` and all after it. Copies `payload`;
   * writes nothing before flush().
   * @param kind 0 to 255, the caller's.
   * @returns a ticket, greater than all before it.
   * @throws UNAVAILABLE after a failure, CLOSED after close(), INVALID_REQUEST for a payload above
   * 32 MiB, RangeError for an index that was cut or leaves a gap.
   */
  append(group: number, term: number, index: number, kind: number, payload: Uint8Array): number {
    this.#checkWritable()
    const entries = this.#groups.ensure(group)
    if (index <= entries.cutIndex || index > entries.lastIndex + 1) {
      throw new RangeError(
        `entry ${index} of group ${group} does not follow ` +
          `${entries.cutIndex}..${entries.lastIndex}`,
      )
    }
    const writer = this.#writer
    const offset = writer.append(LOG_ENTRY, kind, group, term, index, payload)
    const { sequence } = this.#segments.newest
    const sizeBytes = logRecordBytes(payload.length)
    entries.append(index, term, sequence, offset, sizeBytes, writer.lastTicket)
    return writer.lastTicket
  }

  /** Records the group's term and its vote (0: none) in it. Returns and throws as append(). */
  setHardState(group: number, term: number, vote: number): number {
    this.#checkWritable()
    const entries = this.#groups.ensure(group)
    this.#writer.append(LOG_HARD_STATE, 0, group, term, 0, encodeVote(vote))
    entries.term = term
    entries.vote = vote
    return this.#writer.lastTicket
  }

  /**
   * Records the configuration that holds in the group from `index` on. The last one written counts,
   * whatever its index; cuts and entries that are replaced leave it alone. Copies `bytes`.
   * Returns and throws as append(); INVALID_REQUEST also for a length that is not 1 byte to 8 MiB,
   * and when the configurations of all groups would take more than 16 MiB.
   */
  setConfiguration(group: number, index: number, bytes: Uint8Array): number {
    this.#checkWritable()
    if (!Number.isSafeInteger(index) || index < 0) {
      throw new RangeError(`configuration index ${index} of group ${group}`)
    }
    this.#groups.checkConfiguration(group, bytes.length)
    this.#writer.append(LOG_CONFIGURATION, 0, group, 0, index, bytes)
    this.#groups.setConfiguration(group, index, bytes.slice())
    return this.#writer.lastTicket
  }

  /**
   * Entries up to `index` are not needed any more. `index` may be past the last entry (a snapshot
   * was installed); and when the entry at `index` has another term than `term`, those after it
   * belong to another history and go as well. A cut at or below the last one changes nothing.
   * Returns and throws as append().
   */
  cut(group: number, index: number, term: number): number {
    this.#checkWritable()
    const entries = this.#groups.ensure(group)
    if (index <= entries.cutIndex) return this.#writer.lastTicket
    const slot = entries.slotOf(index)
    const dropsSuffix = slot >= 0 && entries.termAt(slot) !== term
    const kind = dropsSuffix ? LOG_CUT_DROPS_SUFFIX : LOG_CUT_KEEPS_SUFFIX
    this.#writer.append(LOG_CUT, kind, group, term, index, NO_PAYLOAD)
    entries.cut(index, term, dropsSuffix, this.#writer.lastTicket)
    return this.#writer.lastTicket
  }

  /** Starts the write of all that was appended, or lets it follow the one under way. */
  flush(): void {
    this.#writer.flush()
  }

  /**
   * Resolves when all that was appended is durable; flushes. On a full disk it waits for room.
   * @throws UNAVAILABLE when the log fails before that, or is closed while the disk is full.
   */
  drained(): Promise<void> {
    this.#writer.flush()
    return new Promise((resolve, reject) => {
      const ticket = this.#writer.lastTicket
      if (this.#fatal !== null) reject(this.#fatal)
      else if (ticket <= this.#reportedTicket) resolve()
      else if (this.#dropped !== null) reject(this.#dropped)
      else this.#waiters.push({ ticket, resolve, reject })
    })
  }

  /**
   * Reads the group's entries in [from, to), as many as fit in `bytesMax` of payload but at least
   * one. Sees every entry appended, durable or not; stops at the last one. Payloads are copies.
   * Blocks the thread for the reads from the file.
   * @throws RangeError when `from` was cut; CORRUPTION when an entry does not read; CLOSED.
   */
  entries(group: number, from: number, to: number, bytesMax: number): LogEntry[] {
    if (this.#closing !== null) throw closedError()
    const index = this.#groups.get(group)
    const result: LogEntry[] = []
    if (index === undefined) return result
    if (from <= index.cutIndex) {
      throw new RangeError(`entry ${from} of group ${group} was cut: cut up to ${index.cutIndex}`)
    }
    const reader = new EntryReader(this.#segments, this.#writer)
    let sizeBytes = 0
    for (let at = from; at < to; at++) {
      const slot = index.slotOf(at)
      if (slot < 0) break
      const entry = reader.read(index, slot)
      sizeBytes += entry.payload.length
      if (result.length > 0 && sizeBytes > bytesMax) break
      result.push(entry)
    }
    return result
  }

  /**
   * Whether the disk is full: there is less room ahead of the log than it wants. What is appended
   * is kept and becomes durable as far as there is room; callers should append only what helps.
   */
  get isFull(): boolean {
    return this.#writer.isFull
  }

  /** Bytes appended that are not durable yet. */
  get pendingBytes(): number {
    return this.#writer.pendingBytes
  }

  /** Bytes of the records in all segments, dead ones included. */
  get sizeBytes(): number {
    return this.#segments.sizeBytes
  }

  /** Bytes of the records of the group's live entries. */
  groupBytes(group: number): number {
    return this.#groups.get(group)?.sizeBytes ?? 0
  }

  /** A group with live entries in the oldest segment, unless that is the one being written. */
  pinningGroup(): number | undefined {
    if (this.#segments.count < 2) return undefined
    const { sequence } = this.#segments.oldest
    for (const index of this.#groups.all()) {
      if (index.firstSequence === sequence) return index.group
    }
    return undefined
  }

  /**
   * Makes all that was appended durable and closes the files; what has no room on a full disk is
   * dropped. Idempotent; never fails.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #checkWritable(): void {
    if (this.#fatal !== null) {
      throw new MetastoreError('UNAVAILABLE', this.#fatal.message, { cause: this.#fatal })
    }
    if (this.#closing !== null) throw closedError()
  }

  #progressed(): void {
    const ticket = this.#writer.durableTicket
    if (ticket > this.#reportedTicket && this.#fatal === null) {
      this.#reportedTicket = ticket
      const due = this.#waiters.filter(waiter => waiter.ticket <= ticket)
      if (due.length > 0) this.#waiters = this.#waiters.filter(waiter => waiter.ticket > ticket)
      for (const waiter of due) waiter.resolve()
      this.onDurable(ticket)
    }
    this.#removal.start()
  }

  get #mayRemove(): boolean {
    return this.#replaysUnderWay === 0 && this.#fatal === null && this.#closing === null
  }

  #fail(file: string, cause: Error): void {
    if (this.#fatal !== null) return
    const isFull = 'code' in cause && cause.code === 'ENOSPC'
    const reason = isFull ? `the disk is full (ENOSPC): ${cause.message}` : cause.message
    const message = `the log has stopped: ${file}: ${reason}`
    const fatal = new MetastoreError('UNAVAILABLE', message, { cause })
    this.#fatal = fatal
    this.#writer.stop()
    for (const waiter of this.#waiters.splice(0)) waiter.reject(fatal)
    this.#options.onFatal(fatal)
  }

  #drop(): void {
    const message = 'the log was closed while its disk was full'
    const dropped = new MetastoreError('UNAVAILABLE', message)
    this.#dropped = dropped
    for (const waiter of this.#waiters.splice(0)) waiter.reject(dropped)
  }

  async #close(): Promise<void> {
    // A failure has been told to onFatal, and there is nothing to drain after it.
    if (this.#fatal === null) {
      await Promise.race([this.drained().catch(() => undefined), this.#writer.stuck()])
    }
    this.#writer.stop()
    this.#drop()
    await this.#writer.idle()
    await this.#removal.idle()
    await this.#writer.close()
    await this.#segments.closeFiles()
  }
}

function scheduleTimer(task: () => void, delayMs: number): () => void {
  const timer = setTimeout(task, delayMs).unref()
  return () => clearTimeout(timer)
}

function closedError(): MetastoreError {
  return new MetastoreError('CLOSED', 'the log is closed')
}
