/** The three members of one group in one thread; what a member wants done is done at once. */
import { EMPTY_CONF_STATE } from '../src/main/raft/configuration.ts'
import type { Message } from '../src/main/raft/message.ts'
import { RaftGroup } from '../src/main/raft/raft-group.ts'
import { RaftMemoryLog } from './raft-memory-log.ts'

export const ELECTION_TICKS = 10
const MEMBERS: readonly number[] = [1, 2, 3]
const CONFIGURATION = { ...EMPTY_CONF_STATE, voters: MEMBERS }

export class RaftMembers {
  readonly groups: RaftGroup[]
  readonly #logs = MEMBERS.map(() => new RaftMemoryLog(CONFIGURATION))
  /** Entries that every member has applied, with their no-ops. */
  readonly applied: number[] = MEMBERS.map(() => 0)
  messages = 0

  /** @param random draws election timeouts */
  constructor(random: (below: number) => number) {
    this.groups = MEMBERS.map(
      (id, i) => new RaftGroup({ id, electionTicks: ELECTION_TICKS, random }, this.#logs[i]),
    )
    this.leader.campaign()
    this.settle()
  }

  get leader(): RaftGroup {
    return this.groups[0]
  }

  /** Until nobody wants anything any more. */
  settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (let i = 0; i < MEMBERS.length; i++) {
        if (!this.groups[i].hasReady()) continue
        isBusy = true
        this.#turn(i)
      }
    }
  }

  #turn(i: number): void {
    const group = this.groups[i]
    const { messages, append, apply } = group.ready()
    for (const sent of messages) this.#deliver(sent)
    if (append !== undefined) {
      this.#logs[i].append(append)
      for (const response of append.responses) this.#deliver(response)
    }
    if (apply !== undefined) {
      this.applied[i] += apply.entries.length
      group.step(apply.response)
    }
  }

  #deliver(sent: Message): void {
    this.messages++
    this.groups[sent.to - 1].step(sent)
  }
}
