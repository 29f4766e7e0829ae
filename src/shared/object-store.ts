/**
 * What Waymark asks of a bucket (docs/object-stores.md). Implementations: directory, S3, memory,
 * and any object of the caller's with the first five methods. Keys are `/`-separated ASCII paths
 * without a leading slash, at most 1024 bytes.
 *
 * Every method rejects when the store fails; what is merely absent is a value, not an error.
 * A call that was aborted or failed may still take effect later, as with any remote store.
 */
export interface ObjectStore {
  /**
   * Writes a whole object; readers see all of it or none. The body is borrowed until the promise
   * settles. With `ifNoneMatch` an existing object is left alone and the answer is 'exists'; with
   * `ifMatch` any but the object of that version is, or its absence, and the answer is 'changed'.
   * Of several racing conditional puts exactly one is 'created'.
   */
  put(key: string, body: Uint8Array, options?: PutOptions): Promise<PutAnswer>
  /** The object's bytes, or `length` of them from `offset`; null when there is no such object. */
  get(key: string, options?: GetOptions): Promise<Uint8Array | null>
  head(key: string, options?: CallOptions): Promise<ObjectInfo | null>
  /** A page of the objects below `prefix` in ascending key order. */
  list(prefix: string, options?: ListOptions): Promise<ObjectPage>
  /** Deletes what is there; a key that is not there is no error. */
  delete(keys: readonly string[], options?: CallOptions): Promise<void>
  /**
   * Aborts uploads below `prefix` that were begun before a time and never finished, and says how
   * many; with `dryRun` it only counts them. For stores in which the parts of an upload whose
   * process died stay, and cost, until somebody does this. A store without it leaves none.
   */
  abortUploads?(prefix: string, options: AbortUploadsOptions): Promise<AbortedUploads>
}

export interface CallOptions {
  signal?: AbortSignal
}

export type PutAnswer = 'created' | 'exists' | 'changed'

export interface PutOptions extends CallOptions {
  ifNoneMatch?: boolean
  /** A version that head() gave; not together with `ifNoneMatch`. */
  ifMatch?: string
  /** Small ASCII pairs kept beside the object. */
  metadata?: Readonly<Record<string, string>>
}

export interface GetOptions extends CallOptions {
  /** First byte wanted; default 0. */
  offset?: number
  /** Bytes wanted; default to the end. Fewer come back when the object ends first. */
  length?: number
}

export interface ListOptions extends CallOptions {
  /** Only keys greater than this one. */
  after?: string
  /** Objects a page; default and most 1000. */
  limit?: number
}

export interface AbortUploadsOptions extends CallOptions {
  /** Milliseconds since the epoch, by the store's clock; younger uploads may be under way. */
  before: number
  /** Default false. */
  dryRun?: boolean
}

export interface AbortedUploads {
  uploads: number
}

export interface ObjectInfo {
  sizeBytes: number
  /** Milliseconds since the epoch, by the store's clock. */
  modifiedAt: number
  metadata: Readonly<Record<string, string>>
  /** Another one whenever other bytes are put: what `ifMatch` compares. The store's own form. */
  version: string
}

export interface ObjectPage {
  objects: { key: string; sizeBytes: number; modifiedAt: number }[]
  /** Pass as `after` for the next page; null at the end. */
  next: string | null
}
