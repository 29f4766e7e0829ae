/**
 * A checkpoint (docs/bucket-layout.md): for each domain a committed manifest that is kept from
 * collection until the checkpoint expires. Written once.
 */
import { isCheckpointName } from './bucket-layout.ts'
import { corruption } from './errors.ts'
import { decodeJsonFile, encodeJsonFile, isCount, type JsonFields } from './json-file.ts'
import type { ManifestName } from './manifest.ts'
import { isUuid } from './uuid.ts'

const FORMAT = 'waymark-checkpoint'
export const CHECKPOINT_FILE_VERSION = 1

export interface CheckpointDomain {
  /** UUID. */
  domain: string
  /** Everything up to there is in the manifest. */
  sequence: number
  /** Null for a domain that had no rows yet. */
  manifest: ManifestName | null
}

export interface CheckpointFile {
  name: string
  clusterId: string
  /** Milliseconds since the epoch. */
  createdAt: number
  /** Null: never. */
  expiresAt: number | null
  /** By number. */
  domains: CheckpointDomain[]
}

export function encodeCheckpoint(checkpoint: CheckpointFile): Uint8Array {
  return encodeJsonFile(FORMAT, CHECKPOINT_FILE_VERSION, checkpoint)
}

/** @throws CORRUPTION naming `file` */
export function decodeCheckpoint(bytes: Uint8Array, file: string): CheckpointFile {
  const fields = decodeJsonFile(bytes, FORMAT, CHECKPOINT_FILE_VERSION, file)
  const { name, clusterId, createdAt, expiresAt, domains } = fields
  const isGood =
    isCheckpointName(name) &&
    isUuid(clusterId) &&
    isCount(createdAt) &&
    (expiresAt === null || isCount(expiresAt)) &&
    Array.isArray(domains)
  if (!isGood) throw corruption(`${file}: bad checkpoint`, { file })
  return {
    ...{ name, clusterId, createdAt, expiresAt: expiresAt as number | null },
    domains: domains.map((domain: unknown) => domainOf(domain, file)),
  }
}

function domainOf(value: unknown, file: string): CheckpointDomain {
  const { domain, sequence, manifest } = (value ?? {}) as JsonFields
  if (!isUuid(domain) || !isCount(sequence)) throw corruption(`${file}: bad domain`, { file })
  return { domain, sequence, manifest: manifest === null ? null : nameOf(manifest, file) }
}

function nameOf(value: unknown, file: string): ManifestName {
  const { domain, epoch, version } = (value ?? {}) as JsonFields
  if (!isUuid(domain) || !isCount(epoch) || !isCount(version)) {
    throw corruption(`${file}: bad manifest`, { file })
  }
  return { domain, epoch, version }
}
