/**
 * The configuration of a Raft group as bytes: who its members are, as snapshots and the log on disk
 * carry it (docs/raft.md, "Format of a configuration").
 *
 *   u8 version (1), u8 auto leave (0 or 1), then four times u16 count, count times u64 member:
 *   voters, outgoing voters, learners, next learners
 */
import { ByteReader, ByteWriter } from './bytes.ts'
import { corruption, invalidRequest } from './errors.ts'

export const CONF_STATE_VERSION = 1
/** Members of one list. */
export const CONF_STATE_MEMBERS_MAX = 65_535

/** Member ids, in the order that the caller keeps them in. */
export interface EncodableConfState {
  readonly voters: readonly number[]
  /** Of a joint configuration the voters of its old half. */
  readonly votersOutgoing: readonly number[]
  readonly learners: readonly number[]
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[]
  readonly autoLeave: boolean
}

/** @returns bytes owned by the caller. @throws INVALID_REQUEST when a list is too long */
export function encodeConfState(state: EncodableConfState): Uint8Array {
  const writer = new ByteWriter(64)
  writer.u8(CONF_STATE_VERSION).u8(state.autoLeave ? 1 : 0)
  putMembers(writer, 'voters', state.voters)
  putMembers(writer, 'outgoing voters', state.votersOutgoing)
  putMembers(writer, 'learners', state.learners)
  putMembers(writer, 'next learners', state.learnersNext)
  return writer.take()
}

/** @throws CORRUPTION when the bytes are no configuration of a known version */
export function decodeConfState(bytes: Uint8Array): EncodableConfState {
  const reader = new ByteReader(bytes, 'configuration')
  const version = reader.u8()
  if (version !== CONF_STATE_VERSION)
    throw corruption(`configuration of unknown version ${version}`)
  const autoLeave = reader.u8()
  if (autoLeave > 1) throw corruption(`configuration with auto leave ${autoLeave}, not 0 or 1`)
  const state = {
    voters: getMembers(reader),
    votersOutgoing: getMembers(reader),
    learners: getMembers(reader),
    learnersNext: getMembers(reader),
    autoLeave: autoLeave === 1,
  }
  reader.expectEnd()
  return state
}

function putMembers(writer: ByteWriter, what: string, members: readonly number[]): void {
  if (members.length > CONF_STATE_MEMBERS_MAX) {
    throw invalidRequest(`a configuration has ${members.length} ${what}`)
  }
  writer.u16(members.length)
  for (const member of members) writer.u64(member)
}

function getMembers(reader: ByteReader): number[] {
  const count = reader.u16()
  return Array.from({ length: count }, () => reader.u64())
}
