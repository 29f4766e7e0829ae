/** What a node's process and the harness say to each other. */
import type { ErrorCode, MetastoreOptions, MetastoreStatus, NewObject } from '../../src/index.ts'
import type { BucketWeather } from './faulty-object-store.ts'

export interface Place {
  readonly topicId: string
  readonly partition: number
}

export interface NodeSettings {
  readonly options: Omit<MetastoreOptions, 'objectStore' | 'logger'>
  readonly bucketDirectory: string
  /** Gets the node's log, a line of JSON each. */
  readonly logFile: string
}

/** By name: what is asked, and what is answered. */
export interface Operations {
  put: { ask: { place: Place; key: string; value: string }; answer: null }
  /** Linearizable; null when there is none. */
  get: { ask: { place: Place; key: string }; answer: string | null }
  preregister: { ask: { place: Place }; answer: string }
  /** Appends one extent. @returns the corrected next offset; null when it was as expected */
  add: {
    ask: { place: Place; object: NewObject; baseOffset: number; requestId: string }
    answer: number | null
  }
  /** nextOffset; 0 for what is not there */
  nextOffset: { ask: { place: Place; consistency: 'linearizable' | 'stale' }; answer: number }
  /** Linearizable: object id, first and last offset of each extent. */
  extents: { ask: { place: Place }; answer: [string, number, number][] }
  status: { ask: Record<never, never>; answer: MetastoreStatus }
  transfer: { ask: { partition: number; to: number }; answer: null }
  flush: { ask: { partition: number }; answer: null }
  compact: { ask: { partition: number }; answer: null }
  collectGarbage: { ask: Record<never, never>; answer: null }
  bucket: { ask: { weather: BucketWeather }; answer: null }
  /** Of all rows of the place, as this node's own replica has them. */
  hash: { ask: { place: Place }; answer: string }
  /** The process ends after the answer. */
  close: { ask: Record<never, never>; answer: null }
}

export type OperationName = keyof Operations
export type AskOf<N extends OperationName> = Operations[N]['ask']
export type AnswerOf<N extends OperationName> = Operations[N]['answer']

export interface Ask<N extends OperationName = OperationName> {
  readonly id: number
  readonly name: N
  readonly ask: AskOf<N>
}

export type Told =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode | 'BUG'; message: string } }
  /** The node is open. */
  | { readonly event: 'open' }
  /** The node has failed, and its process ends. */
  | { readonly event: 'failed'; readonly message: string }
  /** Its event loop stood still. */
  | { readonly event: 'stalled'; readonly message: string }
