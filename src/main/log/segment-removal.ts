/**
 * Removes the segments that nobody needs any more, the oldest first and one at a time: were a later
 * removal to survive a crash without an earlier one, a gap would show.
 */
import type { LogFiles } from './log-files.ts'
import type { Segment, SegmentTable } from './segment.ts'
import { settled } from './zero-fill.ts'

export interface SegmentRemovalOptions {
  readonly files: LogFiles
  readonly segments: SegmentTable
  readonly durability: 'fsync' | 'os'
  /** Up to which ticket everything was reported durable; undefined while nothing may be removed. */
  readonly durableTicket: () => number | undefined
  /** A segment whose file is still written to. */
  readonly inUse: () => Segment | null
  readonly onFailure: (file: string, error: Error) => void
}

export class SegmentRemoval {
  readonly #options: SegmentRemovalOptions
  #underWay: Promise<void> | null = null

  constructor(options: SegmentRemovalOptions) {
    this.#options = options
  }

  /** Begins to remove what can go; call it whenever that may be more than before. */
  start(): void {
    const { segments, durableTicket, inUse, onFailure } = this.#options
    const ticket = durableTicket()
    if (this.#underWay !== null || ticket === undefined) return
    const segment = segments.removable(ticket)
    if (segment === null || segment === inUse()) return
    segments.removeOldest()
    this.#underWay = this.#remove(segment)
      .catch(error => onFailure(segment.name, error))
      .finally(() => {
        this.#underWay = null
        this.start()
      })
  }

  /** Resolves when no removal is under way. */
  async idle(): Promise<void> {
    await this.#underWay
  }

  async #remove(segment: Segment): Promise<void> {
    const { files, segments, durability } = this.#options
    if (durability === 'os') {
      // The cuts that allow this must not be lost when the segment is not.
      for (const { file } of [...segments.all()]) {
        if (file !== null) await settled(done => file.sync(done))
      }
    }
    await segment.file?.close()
    await files.remove(segment.name)
    await files.syncDirectory()
  }
}
