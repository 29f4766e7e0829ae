/** Many calls under way at once, made in order. */

/**
 * Calls `run` for 0 to count - 1, in order, at most `inFlightMax` at a time. What `run` does before
 * its first await happens in that order, too.
 */
export async function forEachInFlight(
  count: number,
  inFlightMax: number,
  run: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, inFlightMax) }, caller))
}
