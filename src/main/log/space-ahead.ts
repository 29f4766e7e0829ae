/**
 * Room on disk, made before it is needed: zeros ahead of the records, and the next segment's file
 * when the newest segment is nearly full. Records only ever overwrite zeros, so a full disk is met
 * here, where nothing is lost by it: the step is tried again until there is room.
 *
 *   +--------+---------+-----------------------+- - - - - - - - - - +
 *   | header | records | zeros                 | zeros to come      |
 *   +--------+---------+-----------------------+- - - - - - - - - - +
 *                     end                 allocatedBytes       targetBytes
 *
 * One step at a time; which one is always decided anew, by what the segments are like then.
 */
import { segmentName } from '../../codec/segment-header.ts'
import type { LogFiles } from './log-files.ts'
import type { LogLogger } from './recovery.ts'
import type { Segment, SegmentTable } from './segment.ts'
import {
  type BlankFile,
  createBlankFile,
  createSegment,
  isDiskFull,
  neverRepeated,
} from './segment-creation.ts'
import { settled, writeZeros } from './zero-fill.ts'

const CHUNK_BYTES = 8388608
const AHEAD_BYTES_MIN = 4194304
/** Zeros of one step. */
const BLOCK_BYTES = 1048576
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2000

/** Runs the task once, after a delay; returns what cancels it. Must not keep the process alive. */
export type Schedule = (task: () => void, delayMs: number) => () => void

export interface SpaceAheadOptions {
  readonly files: LogFiles
  readonly segments: SegmentTable
  readonly durability: 'fsync' | 'os'
  readonly segmentBytesMax: number
  readonly schedule: Schedule
  readonly logger: LogLogger | undefined
}

export interface SpaceAheadEvents {
  /** A step has ended: room came, or the disk is full, or after onFailure. */
  readonly onStep: () => void
  /** Nothing is tried any more. */
  readonly onFailure: (file: string, error: Error) => void
}

interface Step {
  /** For errors. */
  readonly file: string
  run(): Promise<void>
}

export class SpaceAhead {
  readonly #options: SpaceAheadOptions
  readonly #events: SpaceAheadEvents
  /** Where a round waits for its place. */
  #needed: Segment | null = null
  /** What the next segment is created from. */
  #blank: BlankFile | null = null
  #filled: Segment | null = null
  #isBusy = false
  #isStopped = false
  #isFull = false
  #retryMs = RETRY_MS_MIN
  #cancelRetry: (() => void) | null = null

  constructor(options: SpaceAheadOptions, events: SpaceAheadEvents) {
    this.#options = options
    this.#events = events
  }

  /** The segment that gets zeros now; its file must stay open. */
  get filled(): Segment | null {
    return this.#filled
  }

  /** Whether a step is under way. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** From when a step finds no room until all that is wanted ahead is there. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Whether nothing goes on until the next try. */
  get isWaiting(): boolean {
    return this.#cancelRetry !== null
  }

  /**
   * Whether the segment has a file with room for records up to `end`. If not, that comes next: ask
   * again in onStep.
   */
  reserve(segment: Segment, end: number): boolean {
    const isThere = segment.file !== null && end <= segment.allocatedBytes
    this.#needed = isThere ? null : segment
    if (!isThere) {
      segment.targetBytes = Math.max(segment.targetBytes, end)
      this.#next()
    }
    return isThere
  }

  /** Goes on making room if there is little ahead. */
  keepAhead(): void {
    this.#next()
  }

  /** Creates the only segment of a new log. @throws errors of the files, a full disk included */
  async createFirst(): Promise<void> {
    const { segments } = this.#options
    await this.#createBlank(segments.newest.sequence)
    await this.#create(segments.newest)
  }

  /** What is under way is let finish: isBusy. */
  stop(): void {
    this.#isStopped = true
    this.#cancelRetry?.()
    this.#cancelRetry = null
  }

  /** Call it after stop(), when nothing is under way. */
  async close(): Promise<void> {
    const blank = this.#blank
    this.#blank = null
    await blank?.file.close()
  }

  #next(): void {
    if (this.#isBusy || this.#isStopped || this.isWaiting) return
    const step = this.#nextStep()
    if (step === null) {
      this.#endFull()
      return
    }
    this.#isBusy = true
    step.run().then(
      () => this.#ended(null, step),
      error => this.#ended(error, step),
    )
  }

  #nextStep(): Step | null {
    const needed = this.#needed
    if (needed !== null) {
      if (needed.file !== null) return this.#fillStep(needed)
      if (this.#blank === null) return this.#blankStep(needed.sequence)
      return { file: needed.name, run: () => this.#create(needed) }
    }
    const { newest } = this.#options.segments
    if (newest.file !== null) {
      this.#extendTarget(newest)
      if (newest.allocatedBytes < newest.targetBytes) return this.#fillStep(newest)
    }
    const sequence = this.#nextSequence()
    return sequence === null || this.#blank !== null ? null : this.#blankStep(sequence)
  }

  #fillStep(segment: Segment): Step {
    return { file: segment.name, run: () => this.#fill(segment) }
  }

  #blankStep(sequence: number): Step {
    return { file: segmentName(sequence), run: () => this.#createBlank(sequence) }
  }

  /** 8 MiB more when there is little ahead; half of a small segment, so that it stays small. */
  #extendTarget(segment: Segment): void {
    const { end, targetBytes } = segment
    if (targetBytes - end >= Math.min(AHEAD_BYTES_MIN, targetBytes / 2)) return
    const extended = Math.min(this.#options.segmentBytesMax, targetBytes + CHUNK_BYTES)
    segment.targetBytes = Math.max(targetBytes, extended)
  }

  /** The segment that needs a file, or soon will; null: none yet. */
  #nextSequence(): number | null {
    const { segments, segmentBytesMax } = this.#options
    const { newest } = segments
    if (newest.file === null) {
      const created = segments.all().findLast(segment => segment.file !== null)
      return (created?.sequence ?? 0) + 1
    }
    const ahead = segmentBytesMax - newest.end
    return ahead < Math.min(AHEAD_BYTES_MIN, segmentBytesMax / 2) ? newest.sequence + 1 : null
  }

  /**
   * The zeros are not synced here: the next round's sync covers them, and so every error of a sync
   * reaches a round and none is used up by a sync that nobody waits for.
   */
  async #fill(segment: Segment): Promise<void> {
    const { file, allocatedBytes, targetBytes } = segment
    if (file === null) throw new Error(`${segment.name} is not open`)
    const blockEnd = allocatedBytes - (allocatedBytes % BLOCK_BYTES) + BLOCK_BYTES
    const to = Math.min(targetBytes, blockEnd)
    this.#filled = segment
    await settled(done => writeZeros(file, allocatedBytes, to, done))
    segment.allocatedBytes = to
  }

  async #createBlank(sequence: number): Promise<void> {
    const { files, segmentBytesMax } = this.#options
    this.#blank = await createBlankFile(files, segmentName(sequence), segmentBytesMax)
  }

  async #create(segment: Segment): Promise<void> {
    const blank = this.#blank
    if (blank === null) throw new Error(`there is no file for ${segment.name}`)
    await this.#syncPrevious(segment)
    await createSegment(this.#options.files, segment, blank)
    this.#blank = null
  }

  /** Without a sync a round, a segment is still synced before the next begins: recovery's rule. */
  async #syncPrevious(segment: Segment): Promise<void> {
    const { segments, durability } = this.#options
    if (durability === 'fsync' || segment === segments.oldest) return
    const { file } = segments.get(segment.sequence - 1)
    if (file !== null) await neverRepeated(settled(done => file.sync(done)))
  }

  #ended(error: Error | null, step: Step): void {
    this.#isBusy = false
    this.#filled = null
    if (error === null) this.#retryMs = RETRY_MS_MIN
    else if (isDiskFull(error)) this.#retryLater(error, step)
    else this.#fail(error, step)
    this.#events.onStep()
    this.#next()
  }

  #fail(error: Error, step: Step): void {
    if (this.#isStopped) return
    this.stop()
    this.#events.onFailure(step.file, error)
  }

  #retryLater(error: Error, { file }: Step): void {
    if (this.#isStopped) return
    const { logger, schedule } = this.#options
    if (!this.#isFull) {
      logger?.warn({ file, err: error }, 'the disk of the log is full: waiting for room')
    }
    this.#isFull = true
    this.#cancelRetry = schedule(() => {
      this.#cancelRetry = null
      this.#next()
    }, this.#retryMs)
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2)
  }

  #endFull(): void {
    if (!this.#isFull) return
    this.#isFull = false
    const { newest } = this.#options.segments
    this.#options.logger?.info({ file: newest.name }, 'the disk of the log has room again')
  }
}
