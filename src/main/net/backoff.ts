/** Backoff: how long to wait before a connection is tried again. */

/**
 * Doubles from `minMs` with each attempt that failed before, up to `maxMs`; between half of that
 * and all of it, so that members that lost one peer do not come back to it at the same time.
 * @param failures in a row, from 1. @param random from [0, 1)
 */
export function backoffMs(failures: number, minMs: number, maxMs: number, random: number): number {
  const ceiling = Math.min(maxMs, minMs * 2 ** (failures - 1))
  return ceiling * (0.5 + random / 2)
}
