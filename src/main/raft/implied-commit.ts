/**
 * What a log says by itself about the commit index. A leader appends a change of the configuration
 * only after it has applied the one before, so of two changes in one log the first is committed.
 *
 * A member must know that much when it starts: configurations take effect when they are applied,
 * and one that campaigned in a configuration two changes old could win by a majority that does not
 * overlap with the present one. The commit index itself need not be kept for it.
 */
import { CONFIG_KIND, type Entry } from './entry.ts'

/**
 * @param entries of a recovered log, or of its end, in order; kinds are enough
 * @returns the index of the last change but one; 0 when there are less than two
 */
export function impliedCommit(entries: Iterable<Pick<Entry, 'index' | 'kind'>>): number {
  let before = 0
  let last = 0
  for (const { index, kind } of entries) {
    if (kind !== CONFIG_KIND) continue
    before = last
    last = index
  }
  return before
}
