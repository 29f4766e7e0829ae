/** What is under way between the members of a script's cluster, oldest first, and the cut links. */
import type { Message } from '../../src/main/raft/message.ts'
import { MESSAGE_NAMES } from './describe.ts'

/** Which messages are meant; of what is not said, all. */
export interface Choice {
  readonly to: number
  readonly from?: number | undefined
  /** As scripts name it, "MsgApp". */
  readonly type?: string | undefined
  /** Only so many of them, the oldest or the newest. */
  readonly first?: number | undefined
  readonly last?: number | undefined
  /** Without the answers of the member's own sides: only what a network carries is lost. */
  readonly isRemote?: boolean
}

export class ScriptNetwork {
  #underWay: readonly Message[] = []
  /** "1>2": what 1 sends to 2 is lost. */
  readonly #cuts = new Set<string>()

  get underWay(): readonly Message[] {
    return this.#underWay
  }

  send(messages: readonly Message[]): void {
    this.#underWay = [...this.#underWay, ...messages]
  }

  hasFor(member: number): boolean {
    return this.#underWay.some(({ to }) => to === member)
  }

  /** @param isRepeated they stay under way, and arrive again */
  take(choice: Choice, isRepeated = false): readonly Message[] {
    const meant = this.#underWay.filter(sent => isMeant(sent, choice))
    const from = choice.last === undefined ? 0 : Math.max(0, meant.length - choice.last)
    const taken = meant.slice(from, choice.first)
    if (!isRepeated) this.#underWay = this.#underWay.filter(sent => !taken.includes(sent))
    return taken
  }

  cut(from: number, to: number): void {
    this.#cuts.add(`${from}>${to}`)
  }

  heal(): void {
    this.#cuts.clear()
  }

  isCut({ from, to }: Message): boolean {
    return this.#cuts.has(`${from}>${to}`)
  }
}

/** From the member itself or one of its sides: no network is between. */
export function isLocal({ from, to }: Message): boolean {
  return from === to || from < 0
}

function isMeant(sent: Message, { to, from, type, isRemote = false }: Choice): boolean {
  if (sent.to !== to || (isRemote && isLocal(sent))) return false
  if (from !== undefined && sent.from !== from) return false
  return type === undefined || MESSAGE_NAMES[sent.type] === type
}
