/**
 * Membership: a configuration and its members' roles, and the changes from one to the next, as pure
 * functions (paper, section 6; dissertation 4.1 and 4.3). Majorities of neighbouring configurations
 * always overlap: either one voter differs, or the way leads through a joint configuration.
 */
import type { ConfigChange, MemberChange } from '../../codec/config-change.ts'
import { type Configuration, type ConfState, configurationOf, isJoint } from './configuration.ts'

interface Member {
  readonly isLearner: boolean
  /** Not known before this change: what was known of an earlier member of that id is void. */
  readonly isNew: boolean
}

export interface Membership {
  readonly configuration: Configuration
  readonly members: ReadonlyMap<number, Member>
}

/** Why a change cannot be made; it changes nothing then. */
export class MembershipError extends Error {
  override readonly name = 'MembershipError'
}

/** The membership that a snapshot carries. All members are new. */
export function restoredMembership(state: ConfState): Membership {
  const configuration = configurationOf(state)
  const members = new Map<number, Member>()
  // A learner to be (learnersNext) is a voter of the outgoing half until that is left.
  for (const id of [...state.voters, ...state.votersOutgoing]) {
    members.set(id, { isLearner: false, isNew: true })
  }
  for (const id of state.learners) members.set(id, { isLearner: true, isNew: true })
  return { configuration, members }
}

/** Makes the change that a committed entry asks for. @throws MembershipError */
export function changedMembership(before: Membership, change: ConfigChange): Membership {
  const { transition, changes } = change
  if (transition !== 'auto' || changes.length > 1) {
    return enterJoint(before, changes, transition !== 'explicit')
  }
  return changes.length === 0 ? leaveJoint(before) : simpleChange(before, changes)
}

/** At most one voter more or less, in one step (dissertation 4.1). @throws MembershipError */
export function simpleChange(before: Membership, changes: readonly MemberChange[]): Membership {
  if (isJoint(before.configuration)) {
    throw new MembershipError("can't apply simple config change in joint config")
  }
  const draft = new Draft(before)
  draft.apply(changes)
  if (differing(before.configuration.incoming, draft.incoming) > 1) {
    throw new MembershipError('more than one voter changed without entering joint config')
  }
  return draft.finish()
}

/** From now on both halves must agree (paper, section 6). @throws MembershipError */
export function enterJoint(
  before: Membership,
  changes: readonly MemberChange[],
  autoLeave: boolean,
): Membership {
  if (isJoint(before.configuration)) throw new MembershipError('config is already joint')
  if (before.configuration.incoming.size === 0) {
    throw new MembershipError("can't make a zero-voter config joint")
  }
  const draft = new Draft(before)
  for (const voter of draft.incoming) draft.outgoing.add(voter)
  draft.autoLeave = autoLeave
  draft.apply(changes)
  return draft.finish()
}

/** The incoming half decides alone. @throws MembershipError */
export function leaveJoint(before: Membership): Membership {
  if (!isJoint(before.configuration)) {
    throw new MembershipError("can't leave a non-joint config")
  }
  const draft = new Draft(before)
  draft.leave()
  return draft.finish()
}

/** A copy in the making. */
class Draft {
  readonly incoming: Set<number>
  readonly outgoing: Set<number>
  readonly #learners: Set<number>
  readonly #learnersNext: Set<number>
  readonly #members: Map<number, Member>
  autoLeave: boolean

  constructor({ configuration, members }: Membership) {
    this.incoming = new Set(configuration.incoming)
    this.outgoing = new Set(configuration.outgoing)
    this.#learners = new Set(configuration.learners)
    this.#learnersNext = new Set(configuration.learnersNext)
    this.autoLeave = configuration.autoLeave
    this.#members = new Map(
      [...members].map(([id, { isLearner }]) => [id, { isLearner, isNew: false }]),
    )
  }

  apply(changes: readonly MemberChange[]): void {
    for (const { operation, member } of changes) {
      if (member === 0) continue
      if (operation === 'voter') this.#makeVoter(member)
      else if (operation === 'learner') this.#makeLearner(member)
      else if (operation === 'remove') this.#remove(member)
    }
    if (this.incoming.size === 0) throw new MembershipError('removed all voters')
  }

  leave(): void {
    for (const id of this.#learnersNext) {
      this.#learners.add(id)
      this.#setRole(id, true)
    }
    this.#learnersNext.clear()
    for (const id of this.outgoing) {
      if (!this.incoming.has(id) && !this.#learners.has(id)) this.#members.delete(id)
    }
    this.outgoing.clear()
    this.autoLeave = false
  }

  finish(): Membership {
    const configuration: Configuration = {
      incoming: this.incoming,
      outgoing: this.outgoing,
      learners: this.#learners,
      learnersNext: this.#learnersNext,
      autoLeave: this.autoLeave,
    }
    return { configuration, members: this.#members }
  }

  #makeVoter(id: number): void {
    this.#learners.delete(id)
    this.#learnersNext.delete(id)
    this.incoming.add(id)
    this.#setRole(id, false)
  }

  #makeLearner(id: number): void {
    if (this.#learners.has(id)) return
    const known = this.#members.get(id)
    if (known !== undefined) {
      this.#remove(id)
      this.#members.set(id, known)
    }
    // Still a voter of the old half: it can become a learner only when that is left.
    if (this.outgoing.has(id)) {
      this.#learnersNext.add(id)
    } else {
      this.#learners.add(id)
      this.#setRole(id, true)
    }
  }

  #remove(id: number): void {
    this.incoming.delete(id)
    this.#learners.delete(id)
    this.#learnersNext.delete(id)
    if (!this.outgoing.has(id)) this.#members.delete(id)
  }

  #setRole(id: number, isLearner: boolean): void {
    this.#members.set(id, { isLearner, isNew: this.#members.get(id)?.isNew ?? true })
  }
}

function differing(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  let count = 0
  for (const id of a) if (!b.has(id)) count++
  for (const id of b) if (!a.has(id)) count++
  return count
}
