/** `replica.json` in a read replica's dataDir: who it is, and which cluster it reads. */
import { corruption } from './errors.ts'
import { decodeJsonFile, encodeJsonFile } from './json-file.ts'
import { isUuid } from './uuid.ts'

const FORMAT = 'waymark-replica'
export const REPLICA_FILE_VERSION = 1

export interface ReplicaFile {
  /** UUID: names the replica's leases. */
  readerId: string
  /** UUID. */
  clusterId: string
}

export function encodeReplica({ readerId, clusterId }: ReplicaFile): Uint8Array {
  return encodeJsonFile(FORMAT, REPLICA_FILE_VERSION, { readerId, clusterId })
}

/** @throws CORRUPTION naming `file` */
export function decodeReplica(bytes: Uint8Array, file: string): ReplicaFile {
  const { readerId, clusterId } = decodeJsonFile(bytes, FORMAT, REPLICA_FILE_VERSION, file)
  if (!isUuid(readerId) || !isUuid(clusterId)) throw corruption(`${file}: bad ids`, { file })
  return { readerId, clusterId }
}
