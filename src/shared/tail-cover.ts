/**
 * Which tail objects go on where a manifest ends (docs/tail-format.md): objects of several epochs
 * may overlap, and any one that holds the next sequence will do.
 */
import type { TailName } from '../codec/tail.ts'

/**
 * The objects to read, in order, so that every sequence after `after` is there up to as far as they
 * reach without a gap: of those that hold the next one, that which reaches furthest.
 */
export function coveringTails<T extends TailName>(names: readonly T[], after: number): T[] {
  const sorted = names.toSorted((a, b) => a.first - b.first)
  const cover: T[] = []
  let reached = after
  let best: T | undefined
  for (const name of sorted) {
    if (name.first > reached + 1) {
      if (best === undefined || best.last <= reached) break
      cover.push(best)
      reached = best.last
      if (name.first > reached + 1) break
    }
    if (best === undefined || name.last > best.last) best = name
  }
  if (best !== undefined && best.last > reached) cover.push(best)
  return cover
}
