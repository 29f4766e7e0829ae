/** Reads that an AbortSignal ends early, with the error that abstract-level gives. */

class AbortError extends Error {
  readonly code = 'LEVEL_ABORTED'

  constructor(signal: AbortSignal) {
    super('Operation has been aborted', { cause: signal.reason })
    this.name = 'AbortError'
  }
}

/**
 * What `work` comes to, or LEVEL_ABORTED as soon as `signal` says so; `work` then goes on alone.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new AbortError(signal))
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    const result = await Promise.race([work, aborted])
    if (signal.aborted) throw new AbortError(signal)
    return result
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
