/**
 * Configuration change: what an entry of a Raft group's log says about its members
 * (docs/raft.md, "Format of a configuration change").
 *
 *   u8 version (1), u8 transition, u16 count, then count times: u8 operation, u64 member
 *
 * No bytes at all mean: leave the joint configuration. A leader writes that by itself.
 */
import { ByteReader, ByteWriter } from './bytes.ts'
import { corruption, invalidRequest } from './errors.ts'

export const CONFIG_CHANGE_VERSION = 1

/** What becomes of a member. On disk; the positions never change. */
export const CONFIG_OPERATIONS = ['voter', 'learner', 'remove', 'update'] as const
export type ConfigOperation = (typeof CONFIG_OPERATIONS)[number]

/**
 * How the group gets from one configuration to the next. On disk; the positions never change.
 * auto: one change in one step, more through a joint configuration that ends by itself.
 * implicit: joint, ends by itself. explicit: joint, until an empty change is proposed.
 */
export const CONFIG_TRANSITIONS = ['auto', 'implicit', 'explicit'] as const
export type ConfigTransition = (typeof CONFIG_TRANSITIONS)[number]

export interface MemberChange {
  readonly operation: ConfigOperation
  /** Id of the member; 0 changes nothing. */
  readonly member: number
}

/** Without changes and with transition auto: leave the joint configuration. */
export interface ConfigChange {
  readonly transition: ConfigTransition
  /** Applied in this order, at most CONFIG_CHANGES_MAX. */
  readonly changes: readonly MemberChange[]
}

export const CONFIG_CHANGES_MAX = 65_535

/** @returns bytes owned by the caller. @throws INVALID_REQUEST when there are too many changes */
export function encodeConfigChange(change: ConfigChange): Uint8Array {
  const { changes, transition } = change
  if (changes.length === 0 && transition === 'auto') return new Uint8Array(0)
  if (changes.length > CONFIG_CHANGES_MAX) {
    throw invalidRequest(`a configuration change has ${changes.length} members`)
  }
  const writer = new ByteWriter(4 + 9 * changes.length)
  writer.u8(CONFIG_CHANGE_VERSION).u8(CONFIG_TRANSITIONS.indexOf(transition)).u16(changes.length)
  for (const { operation, member } of changes) {
    writer.u8(CONFIG_OPERATIONS.indexOf(operation)).u64(member)
  }
  return writer.take()
}

/** @throws CORRUPTION when the bytes are no configuration change of a known version */
export function decodeConfigChange(bytes: Uint8Array): ConfigChange {
  if (bytes.length === 0) return { transition: 'auto', changes: [] }
  const reader = new ByteReader(bytes, 'configuration change')
  const version = reader.u8()
  if (version !== CONFIG_CHANGE_VERSION) {
    throw corruption(`configuration change of unknown version ${version}`)
  }
  const transition = named(CONFIG_TRANSITIONS, reader.u8())
  const count = reader.u16()
  const changes = Array.from({ length: count }, () => ({
    operation: named(CONFIG_OPERATIONS, reader.u8()),
    member: reader.u64(),
  }))
  reader.expectEnd()
  return { transition, changes }
}

function named<T>(names: readonly T[], position: number): T {
  const name = names.at(position)
  if (name === undefined) throw corruption(`configuration change with unknown code ${position}`)
  return name
}
