/**
 * Retries with exponential backoff and full jitter, within one deadline. Time and chance come in
 * as arguments, so tests run without waiting.
 */
import { setTimeout as timer } from 'node:timers/promises'
import { type ErrorCode, MetastoreError } from '../codec/errors.ts'

export interface RetryOptions {
  /** For all attempts and pauses together, in milliseconds. */
  readonly deadlineMs: number
  /** For one attempt; default: what is left of the deadline. */
  readonly attemptTimeoutMs?: number
  /** Default: as many as the deadline allows. */
  readonly attemptsMax?: number
  /** The first pause is up to this long, every further one up to twice the last; default 50. */
  readonly baseDelayMs?: number
  /** No pause is longer; default 5000. */
  readonly maxDelayMs?: number
  /** Ends attempt and pause at once; the rejection is the signal's reason. */
  readonly signal?: AbortSignal
  /** Default: `isRetryable`. */
  readonly isRetryable?: (error: unknown) => boolean
  /** In [0, 1); default Math.random. */
  readonly random?: () => number
  /** A monotonic clock in milliseconds; default performance.now. */
  readonly now?: () => number
  /** Resolves after `ms`, rejects as soon as the signal aborts; default a timer. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
}

type Settings = Required<Omit<RetryOptions, 'signal'>> & { readonly signal: AbortSignal }

const BASE_DELAY_MS = 50
const MAX_DELAY_MS = 5_000
/** The longest time that a timer of Node can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1

const FINAL_CODES: ReadonlySet<ErrorCode> = new Set([
  'INVALID_REQUEST',
  'CONFLICT',
  'CLOSED',
  'CORRUPTION',
])

/**
 * False for the codes that a repetition cannot help, and for what a store says is a refusal
 * (`details.isRefusal`): UNAVAILABLE until somebody mends permissions, say. Errors that are not
 * ours are retried: a failed connection is a TypeError in fetch and a system error elsewhere.
 */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof MetastoreError)) return true
  const { isRefusal } = (error.details ?? {}) as { isRefusal?: boolean }
  return !FINAL_CODES.has(error.code) && isRefusal !== true
}

/**
 * Calls until it succeeds, fails for good, or time is up. An attempt gets a signal that aborts
 * when the attempt must end; one that does not listen is abandoned, and may still take effect.
 *
 * Rejects with UNAVAILABLE (cause: the last failure) when deadline or attempts are used up, with
 * the error itself when it is not retryable, with the signal's reason when aborted.
 */
export async function withRetry<T>(
  options: RetryOptions,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const settings = withDefaults(options)
  const { signal, now } = settings
  const endsAt = now() + settings.deadlineMs
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    const timeoutMs = Math.min(settings.attemptTimeoutMs, endsAt - now())
    try {
      return await callWithin(timeoutMs, settings, call)
    } catch (error) {
      signal.throwIfAborted()
      if (!settings.isRetryable(error)) throw error
      const pauseMs = settings.random() * delayCeilingMs(attempt, settings)
      if (attempt >= settings.attemptsMax || now() + pauseMs >= endsAt) {
        throw givenUp(attempt, settings.deadlineMs, error)
      }
      await pause(pauseMs, settings)
    }
  }
}

function withDefaults(options: RetryOptions): Settings {
  return {
    attemptTimeoutMs: Number.POSITIVE_INFINITY,
    attemptsMax: Number.POSITIVE_INFINITY,
    baseDelayMs: BASE_DELAY_MS,
    maxDelayMs: MAX_DELAY_MS,
    signal: new AbortController().signal,
    isRetryable,
    random: Math.random,
    now: () => performance.now(),
    sleep: (ms, signal) => timer(Math.min(ms, TIMER_MS_MAX), undefined, { signal }),
    ...options,
  }
}

function delayCeilingMs(attempt: number, { baseDelayMs, maxDelayMs }: Settings): number {
  return Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1))
}

async function pause(ms: number, { signal, sleep }: Settings): Promise<void> {
  try {
    await sleep(ms, signal)
  } catch (error) {
    // Timers reject with an AbortError of their own; the caller is owed the signal's reason.
    signal.throwIfAborted()
    throw error
  }
}

/** One attempt, which ends with the timeout or the signal even if the call heeds neither. */
async function callWithin<T>(
  timeoutMs: number,
  { signal, sleep }: Settings,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const attempt = new AbortController()
  const timeout = new AbortController()
  // Not AbortSignal.any: it would leave an entry in the long-lived signal for every attempt.
  const stop = () => attempt.abort(signal.reason)
  signal.addEventListener('abort', stop)
  const stopped = new Promise<never>((_resolve, reject) => {
    attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason))
  })
  void sleep(timeoutMs, timeout.signal).then(
    () => attempt.abort(unavailable(`no answer within ${Math.ceil(timeoutMs)} ms`)),
    (error: unknown) => {
      // Rejected because the attempt ended first, unless the clock itself is broken.
      if (!timeout.signal.aborted) attempt.abort(error)
    },
  )
  try {
    return await Promise.race([call(attempt.signal), stopped])
  } finally {
    signal.removeEventListener('abort', stop)
    timeout.abort()
  }
}

function givenUp(attempts: number, deadlineMs: number, cause: unknown): MetastoreError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MetastoreError(
    'UNAVAILABLE',
    `given up after ${attempts} attempts (deadline ${deadlineMs} ms): ${reason}`,
    { details: { attempts }, cause },
  )
}

function unavailable(message: string): MetastoreError {
  return new MetastoreError('UNAVAILABLE', message)
}
