/** The cluster that a script drives: its members, by number from 1, and what is between them. */
import { ClusterSafety } from './cluster-safety.ts'
import { DROPPED, describeMessage, NO_MEMBER } from './describe.ts'
import type { Command } from './script.ts'
import type { Done, ScriptMember } from './script-member.ts'
import { type Choice, ScriptNetwork } from './script-network.ts'

/** Commands by name: each gives the lines that it prints. */
export type Handlers = Readonly<
  Record<string, (cluster: ScriptCluster, command: Command) => string[]>
>

/** How messages arrive, but for the usual: all, once, the oldest first. */
export interface Delivery {
  readonly isLost?: boolean
  readonly isRepeated?: boolean
  readonly isReversed?: boolean
}

export class ScriptCluster {
  readonly members: ScriptMember[] = []
  readonly network: ScriptNetwork = new ScriptNetwork()
  readonly safety: ClusterSafety = new ClusterSafety()

  /** @throws Error when there is none, or it is down */
  member(id: string | undefined): ScriptMember {
    const member = this.memberOrDown(id)
    if (member.isDown) throw new Error(`member ${id} is down`)
    return member
  }

  memberOrDown(id: string | undefined): ScriptMember {
    const member = this.members.at(Number(id) - 1)
    if (member === undefined || Number(id) < 1) throw new Error(`no member ${id}`)
    return member
  }

  /** Puts into the network what a step sends. @returns what it prints */
  send({ lines, sent }: Done): string[] {
    this.network.send(sent)
    return lines
  }

  deliver(choice: Choice, how: Delivery = {}): string[] {
    const taken = this.network.take(choice, how.isRepeated)
    const inOrder = how.isReversed ? taken.toReversed() : taken
    return inOrder.flatMap(sent => {
      const lines = describeMessage(sent).split('\n')
      if (how.isLost || this.network.isCut(sent)) return [`dropped: ${lines[0]}`, ...lines.slice(1)]
      const result = this.member(String(choice.to)).group.step(sent)
      if (result === 'dropped') lines.push(DROPPED)
      if (result === 'unknownMember') lines.push(NO_MEMBER)
      return lines
    })
  }

  /** For one member what the action prints, for several under the heading of each. */
  each(
    { words }: Command,
    title: string,
    action: (member: ScriptMember) => readonly string[],
  ): string[] {
    if (words.length === 1) return [...action(this.member(words[0]))]
    return words.flatMap(id => [`> ${id} ${title}`, ...indented(action(this.member(id)))])
  }
}

export function indented(lines: readonly string[]): string[] {
  return lines.flatMap(line => line.split('\n')).map(line => `  ${line}`)
}
