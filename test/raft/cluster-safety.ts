/**
 * What must hold in every cluster after every command of a script (paper, figure 3), whatever the
 * script expects: a wrong answer must not be recorded.
 *   election safety: at most one leader a term;
 *   log matching: logs with the same term at an index are the same up to it;
 *   state machine safety: members apply the same entries at the same index, and have the same state
 *   and configuration there, whether by entries or by a snapshot.
 */
import type { Entry, Snapshot } from '../../src/main/raft/entry.ts'
import { describeEntry } from './describe.ts'
import type { ScriptMember } from './script-member.ts'

export class ClusterSafety {
  /** By term. */
  readonly #leaders = new Map<number, number>()
  /** By index. */
  readonly #applied = new Map<number, string>()
  readonly #states = new Map<number, string>()

  /** @throws Error naming what is broken */
  check(members: readonly ScriptMember[]): void {
    for (const { id, isDown, group } of members) {
      const { role, term } = group.status()
      if (isDown || role !== 'leader') continue
      const known = this.#leaders.get(term) ?? id
      if (known !== id) throw new Error(`unsafe: ${known} and ${id} are leaders of term ${term}`)
      this.#leaders.set(term, id)
    }
    const logs = members.map(({ storage }) => storage.all())
    logs.forEach((log, i) => {
      for (const other of logs.slice(0, i)) checkMatching(log, other)
    })
  }

  /** @throws Error when another member has applied something else there */
  apply(member: number, entry: Entry): void {
    const text = describeEntry(entry)
    const known = this.#applied.get(entry.index) ?? text
    if (known !== text) throw new Error(`unsafe: ${member} applies ${text}, another ${known}`)
    this.#applied.set(entry.index, text)
  }

  /** @throws Error when another member has another state there */
  reach(member: number, { index, configuration, data }: Snapshot): void {
    const text = `${JSON.stringify(configuration)} ${data.join()}`
    const known = this.#states.get(index) ?? text
    if (known !== text)
      throw new Error(`unsafe: state ${index} of ${member}: ${text}, not ${known}`)
    this.#states.set(index, text)
  }
}

function checkMatching(one: readonly Entry[], other: readonly Entry[]): void {
  const others = new Map(other.map(entry => [entry.index, entry]))
  const last = one.findLastIndex(({ index, term }) => others.get(index)?.term === term)
  for (const entry of one.slice(0, last + 1)) {
    const counterpart = others.get(entry.index)
    if (counterpart === undefined) continue
    const [text, otherText] = [describeEntry(entry), describeEntry(counterpart)]
    if (text !== otherText) throw new Error(`unsafe: logs with ${text} and ${otherText}`)
  }
}
