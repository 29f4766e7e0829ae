/** All groups of the log: their indexes, and what recovery puts into them. */
import { corruption, invalidRequest } from '../../codec/errors.ts'
import {
  decodeVote,
  isConfigurationLength,
  LOG_CONFIGURATION,
  LOG_CONFIGURATION_BYTES_MAX,
  LOG_CUT,
  LOG_CUT_DROPS_SUFFIX,
  LOG_HARD_STATE,
  type LogRecord,
  logRecordBytes,
} from '../../codec/log-format.ts'
import type { LogGroupState, LogSegmentHeader } from '../../codec/segment-header.ts'
import { GroupIndex } from './group-index.ts'
import type { RecoveryVisitor } from './recovery.ts'
import type { Segment, SegmentTable } from './segment.ts'

/** Of all groups: they must fit in one record, the header of a segment, with much to spare. */
const CONFIGURATIONS_BYTES_MAX = 16777216

export class GroupTable implements RecoveryVisitor {
  readonly #segments: SegmentTable
  readonly #groups = new Map<number, GroupIndex>()
  /** Bytes of the configurations of all groups. */
  #configurationBytes = 0

  constructor(segments: SegmentTable) {
    this.#segments = segments
  }

  get(group: number): GroupIndex | undefined {
    return this.#groups.get(group)
  }

  /** The group's index, a new one if the group was not known. */
  ensure(group: number): GroupIndex {
    let index = this.#groups.get(group)
    if (index === undefined) {
      index = new GroupIndex(group, this.#segments)
      this.#groups.set(group, index)
    }
    return index
  }

  all(): Iterable<GroupIndex> {
    return this.#groups.values()
  }

  /** What the header of a segment that begins now carries. */
  states(): LogGroupState[] {
    return Array.from(this.#groups.values(), index => {
      const { group, term, vote, cutIndex, cutTerm, configuration } = index
      return { group, term, vote, cutIndex, cutTerm, configuration }
    })
  }

  /** @throws INVALID_REQUEST when the group cannot get a configuration of so many bytes. */
  checkConfiguration(group: number, count: number): void {
    if (!isConfigurationLength(count)) {
      throw invalidRequest(
        `the configuration of group ${group} has ${count} bytes, ` +
          `not 1 to ${LOG_CONFIGURATION_BYTES_MAX}`,
      )
    }
    const replaced = this.#groups.get(group)?.configuration?.bytes.length ?? 0
    const sum = this.#configurationBytes - replaced + count
    if (sum > CONFIGURATIONS_BYTES_MAX) {
      throw invalidRequest(
        `the configurations of all groups take at most ${CONFIGURATIONS_BYTES_MAX} bytes, ` +
          `not ${sum}`,
      )
    }
  }

  /** Takes the bytes over; whatever the group's configuration was, this one replaces it. */
  setConfiguration(group: number, index: number, bytes: Uint8Array): void {
    const known = this.ensure(group)
    this.#configurationBytes += bytes.length - (known.configuration?.bytes.length ?? 0)
    known.configuration = { index, bytes }
  }

  base(header: LogSegmentHeader): void {
    for (const state of header.groups) {
      const index = this.ensure(state.group)
      index.term = state.term
      index.vote = state.vote
      index.cutIndex = state.cutIndex
      index.cutTerm = state.cutTerm
      const { configuration } = state
      if (configuration === undefined) continue
      this.setConfiguration(state.group, configuration.index, configuration.bytes)
    }
  }

  record(segment: Segment, record: LogRecord, offset: number, bytes: Uint8Array): void {
    const index = this.ensure(record.group)
    if (record.type === LOG_HARD_STATE) {
      index.term = record.term
      index.vote = decodeVote(bytes, record)
    } else if (record.type === LOG_CUT) {
      index.cut(record.index, record.term, record.kind === LOG_CUT_DROPS_SUFFIX, 0)
    } else if (record.type === LOG_CONFIGURATION) {
      const { payloadStart, payloadBytes } = record
      const payload = bytes.slice(payloadStart, payloadStart + payloadBytes)
      this.setConfiguration(record.group, record.index, payload)
    } else {
      this.#recoverEntry(index, segment, record, offset)
    }
  }

  /** @throws CORRUPTION when a group's entries do not begin right after its cut. */
  checkWhole(): void {
    for (const index of this.#groups.values()) {
      if (index.isContiguous) continue
      const file = this.#segments.oldest.name
      const message = `${file}: the log lacks entries of group ${index.group} after its cut`
      throw corruption(message, { file, offset: 0 })
    }
  }

  #recoverEntry(index: GroupIndex, segment: Segment, record: LogRecord, offset: number): void {
    if (!index.canFollow(record.index)) {
      const file = segment.name
      const entry = `entry ${record.index} of group ${record.group}`
      const message = `${file}: ${entry} at ${offset} has a gap`
      throw corruption(message, { file, offset })
    }
    const sizeBytes = logRecordBytes(record.payloadBytes)
    index.append(record.index, record.term, segment.sequence, offset, sizeBytes, 0)
  }
}
