/** Waymark's public face, in reading order; what is not here is internal. */

// Errors
export {
  type CorruptionPlace,
  ERROR_CODES,
  type ErrorCode,
  MetastoreError,
} from './codec/errors.ts'
// The metastore
export type { ClusterOptions } from './main/cluster/cluster-options.ts'
export type { Logger } from './main/logger.ts'
export { Metastore } from './main/metastore.ts'
// What they take and give
export { ObjectBuilder } from './main/object-builder.ts'
export type { MetastoreOptions } from './main/options.ts'
// A reader that needs the bucket only
export { ReadReplica } from './main/read-replica/read-replica.ts'
export type { ReadReplicaOptions } from './main/read-replica/replica-options.ts'
export { RecordSnapshot } from './main/record-snapshot.ts'
export {
  type RecordBatchOperation,
  type RecordKey,
  type RecordRange,
  type RecordReadOptions,
  RecordStore,
} from './main/record-store.ts'
export type { RestoreFrom } from './main/recovery/restore-request.ts'
export type * from './shared/api.ts'

// Object stores
export type * from './shared/object-store.ts'
export type { S3Options } from './shared/s3-options.ts'
