/**
 * What a member keeps of a group beside its log (docs/log-format.md, configuration records): the
 * state at the index where the log was cut. Little-endian:
 *
 *   u8 version, 1 | u64 commit | u64 term | u32 size of the configuration | configuration
 *   (conf-state.ts) | manifest, to the end; empty when it is in the log
 */
import { getU32, getU64, putU32, putU64 } from './bytes.ts'
import { corruption } from './errors.ts'

export const GROUP_BASE_VERSION = 1
const HEADER_BYTES = 21

export interface GroupBase {
  /** Known to be committed when this was written. */
  readonly commit: number
  /** Of the entry at the index that the record names: the cut follows, and may be lost. */
  readonly term: number
  /** As of the index that the record names; codec/conf-state.ts. */
  readonly configuration: Uint8Array
  /** Of a snapshot that was installed: the manifest, which no entry of the log has. */
  readonly manifest: Uint8Array
}

export function encodeGroupBase({ commit, term, configuration, manifest }: GroupBase): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + configuration.length + manifest.length)
  bytes[0] = GROUP_BASE_VERSION
  putU64(bytes, 1, commit)
  putU64(bytes, 9, term)
  putU32(bytes, 17, configuration.length)
  bytes.set(configuration, HEADER_BYTES)
  bytes.set(manifest, HEADER_BYTES + configuration.length)
  return bytes
}

/** The parts are views of `bytes`. @throws CORRUPTION naming `source` */
export function decodeGroupBase(bytes: Uint8Array, source: string): GroupBase {
  if (bytes.length < HEADER_BYTES || bytes[0] !== GROUP_BASE_VERSION) {
    throw corruption(`${source}: version ${bytes[0]} where ${GROUP_BASE_VERSION} is read`)
  }
  const configurationEnd = HEADER_BYTES + getU32(bytes, 17)
  if (configurationEnd > bytes.length) {
    throw corruption(`${source}: a configuration of ${configurationEnd - HEADER_BYTES} bytes`)
  }
  return {
    commit: getU64(bytes, 1),
    term: getU64(bytes, 9),
    configuration: bytes.subarray(HEADER_BYTES, configurationEnd),
    manifest: bytes.subarray(configurationEnd),
  }
}
