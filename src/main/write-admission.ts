/**
 * Whether a domain takes a write now, or refuses it before anything was sent: every queue behind it
 * has a limit. Acknowledgements are slowed down before that (storage/write-throttle.ts).
 */
import { MetastoreError } from '../codec/errors.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { DELAY_MAX_MS, L0_STOP_TABLES, type WriteThrottle } from './storage/write-throttle.ts'

/**
 * Bytes of writes that may wait for their worker, their commit or their acknowledgement. What the
 * worker has is on its way to the log: a worker that goes on after a while must not bring more than
 * the group takes without a commit (uncommittedBytesMax in raft/options.ts), also where a batch is
 * larger than its request.
 */
const UNACKNOWLEDGED_BYTES_MAX = 16 * 1024 * 1024
/** Answers that may wait for a commit. */
const ANSWERS_WAITING_MAX = 65_536
const RETRY_AFTER_MS = 20
/** What a caller may try again after, when compactions are behind. */
const COMPACTION_RETRY_AFTER_MS = 250
const DISK_FULL_RETRY_AFTER_MS = 1000

export interface WriteBacklog {
  /** Number of the domain. */
  readonly domain: number
  readonly isLogFull: boolean
  /** Of requests of writes that the worker has not answered. */
  readonly askedBytes: number
  readonly acknowledgements: Acknowledgements
  readonly throttle: WriteThrottle
  readonly level0Tables: number
}

/** @throws OVERLOADED, details {retryAfterMs} */
export function admitWrite(backlog: WriteBacklog): void {
  const { domain, isLogFull, askedBytes, acknowledgements, throttle, level0Tables } = backlog
  if (isLogFull) throw overloaded(domain, 'the disk of the log is full', DISK_FULL_RETRY_AFTER_MS)
  const { unacknowledgedBytes, waitingCount } = acknowledgements
  const bytes = askedBytes + unacknowledgedBytes
  if (bytes >= UNACKNOWLEDGED_BYTES_MAX) {
    const reason = `${bytes} bytes wait for their worker or their commit`
    throw overloaded(domain, reason, RETRY_AFTER_MS)
  }
  if (waitingCount >= ANSWERS_WAITING_MAX) {
    throw overloaded(domain, `${ANSWERS_WAITING_MAX} answers wait for a commit`, RETRY_AFTER_MS)
  }
  if (level0Tables >= L0_STOP_TABLES) {
    const reason = `${level0Tables} tables wait for their compaction`
    throw overloaded(domain, reason, COMPACTION_RETRY_AFTER_MS)
  }
  const delayMs = Math.ceil(throttle.delayMs)
  if (delayMs > DELAY_MAX_MS) {
    throw overloaded(domain, 'flushes or compactions are behind', delayMs - DELAY_MAX_MS)
  }
}

function overloaded(domain: number, reason: string, retryAfterMs: number): MetastoreError {
  return new MetastoreError('OVERLOADED', `metastore partition ${domain}: ${reason}`, {
    details: { retryAfterMs },
  })
}
