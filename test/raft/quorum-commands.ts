/** `committed` and `vote`: majorities of (joint) configurations as pure functions. */
import { jointAcknowledged, jointVote } from '../../src/main/raft/quorum.ts'
import { type Command, numbers } from './script.ts'

export function runQuorumCommand(command: Command): string | undefined {
  const incoming = numbers(command.options.get('cfg'))
  // `zero` is a joint configuration with nobody in its second half.
  const outgoing = numbers(command.options.get('cfgj')?.filter(value => value !== 'zero'))
  const voters = { incoming: new Set(incoming), outgoing: new Set(outgoing) }
  const ids = [...new Set([...incoming, ...outgoing])]
  if (command.name === 'committed') {
    const values = command.options.get('idx') ?? []
    const known = new Map(
      ids.flatMap((id, i): [number, number][] => {
        const value = values[i] ?? '_'
        return value === '_' || value === '0' ? [] : [[id, Number(value)]]
      }),
    )
    const index = jointAcknowledged(voters, id => known.get(id) ?? 0)
    return `${drawing(ids, known)}${Number.isFinite(index) ? index : '∞'}`
  }
  if (command.name === 'vote') {
    const values = command.options.get('votes') ?? []
    const votes = new Map(
      ids.flatMap((id, i): [number, boolean][] => {
        const value = values[i] ?? '_'
        return value === '_' ? [] : [[id, value === 'y']]
      }),
    )
    return { pending: 'VotePending', lost: 'VoteLost', won: 'VoteWon' }[jointVote(voters, votes)]
  }
  return undefined
}

/** A bar a voter: as long as there are voters with a smaller index. */
function drawing(unordered: readonly number[], known: ReadonlyMap<number, number>): string {
  const ids = [...unordered].sort((a, b) => a - b)
  if (ids.length === 0) return '<empty majority quorum>'
  const indexOf = (id: number): number => known.get(id) ?? 0
  const barOf = (id: number): number => ids.filter(other => indexOf(other) < indexOf(id)).length
  const blank = ' '.repeat(ids.length)
  const rows = ids.map(id => {
    const bar = barOf(id)
    const mark = known.has(id) ? `${'x'.repeat(bar)}>${' '.repeat(ids.length - bar)}` : `?${blank}`
    return `${mark} ${String(indexOf(id)).padStart(5)}    (id=${id})\n`
  })
  return `${blank}    idx\n${rows.join('')}`
}
