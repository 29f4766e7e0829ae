/** `simple`, `enter-joint`, `leave-joint`: changes of a configuration as pure functions. */
import type { ConfigOperation, MemberChange } from '../../src/codec/config-change.ts'
import { type Configuration, isJoint } from '../../src/main/raft/configuration.ts'
import {
  enterJoint,
  leaveJoint,
  type Membership,
  MembershipError,
  simpleChange,
} from '../../src/main/raft/membership.ts'
import { raftOptions } from '../../src/main/raft/options.ts'
import { Tracker } from '../../src/main/raft/tracker.ts'
import { describeProgress } from './describe.ts'
import { type Command, option } from './script.ts'

const OPERATIONS: Readonly<Record<string, ConfigOperation>> = {
  v: 'voter',
  l: 'learner',
  r: 'remove',
  u: 'update',
}

/** "v1 l2 r3 u4". */
export function parseChanges(input: readonly string[]): MemberChange[] {
  return input
    .join(' ')
    .split(' ')
    .filter(word => word !== '')
    .map(word => ({ operation: OPERATIONS[word[0]], member: Number(word.slice(1)) }))
}

export class ConfchangeCommands {
  readonly #tracker = new Tracker(raftOptions({ id: 1, electionTicks: 3, random: () => 0 }))
  /** One more a command: new members begin there. */
  #lastIndex = 0

  run(command: Command): string | undefined {
    const change = this.#changeOf(command)
    if (change === undefined) return undefined
    const lastIndex = this.#lastIndex++
    try {
      this.#tracker.adopt(change(this.#tracker.membership), lastIndex)
    } catch (error) {
      if (error instanceof MembershipError) return error.message
      throw error
    }
    const members = describeProgress(this.#tracker.progress)
    return [describeConfiguration(this.#tracker.configuration), ...members].join('\n')
  }

  #changeOf(command: Command): ((before: Membership) => Membership) | undefined {
    const changes = parseChanges(command.input)
    if (command.name === 'simple') return before => simpleChange(before, changes)
    if (command.name === 'leave-joint') return leaveJoint
    if (command.name !== 'enter-joint') return undefined
    return before => enterJoint(before, changes, option(command, 'autoleave') === 'true')
  }
}

function describeConfiguration(configuration: Configuration): string {
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration
  const list = (ids: ReadonlySet<number>): string => `(${[...ids].sort((a, b) => a - b).join(' ')})`
  let text = `voters=${list(incoming)}`
  if (isJoint(configuration)) text += `&&${list(outgoing)}`
  if (learners.size > 0) text += ` learners=${list(learners)}`
  if (learnersNext.size > 0) text += ` learners_next=${list(learnersNext)}`
  return autoLeave ? `${text} autoleave` : text
}
