/**
 * What must hold after every step, compared across all nodes of one group, those that are down
 * included: their disks count. Numbers of sections are of the Raft paper.
 *
 *  1. Election safety (5.2): a term has at most one leader; a member votes for one candidate a term.
 *  2. Log matching (5.3): two logs that have an entry of the same index and term agree up to it.
 *  3. Leader completeness (5.4): a new leader has every entry that was committed before.
 *  4. What is committed is durable on a quorum of each half of the configuration, and never changes.
 *  5. State machine safety (5.4.3): at equal index all machines have done the same.
 *  6. What is applied is durable here; what a member acknowledges is durable there, and what its
 *     leader has; and nothing is written twice.
 *  7. A member's term and commit index never fall while it runs.
 *  8. A read is let go at an index no older than what anybody had committed when it was asked.
 */
import assert from 'node:assert/strict'
import { CONFIG_KIND, type Entry, type Snapshot } from '../../src/main/raft/entry.ts'
import type { Message } from '../../src/main/raft/message.ts'
import type { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { AppendWork } from '../../src/main/raft/ready.ts'
import type { MemoryStorage } from '../raft/memory-storage.ts'
import type { Machine } from './machine.ts'

interface Member {
  term: number
  commit: number
  isLeader: boolean
  /** Of the entries that it has handed to its disk, by index, the terms. */
  terms: number[]
}

interface Link {
  readonly termBefore: number
  readonly content: string
}

export class Invariants {
  readonly #durableOf: (node: number) => MemoryStorage
  readonly #members = new Map<number, Member>()
  readonly #leaderOf = new Map<number, number>()
  readonly #voteOf = new Map<string, number>()
  /** By index and term: what every log has there, and before it. */
  readonly #links = new Map<string, Link>()
  /** By index: the term of what is committed. */
  readonly #committed: number[]
  /** By index: the term of the leader that has committed it. */
  readonly #committedIn: number[]
  /** By index: that of all machines. */
  readonly #digests: number[] = []

  /**
   * @param durableOf the log that a crash of the node would leave
   * @param start what all members begin after
   */
  constructor(durableOf: (node: number) => MemoryStorage, start: Snapshot) {
    this.#durableOf = durableOf
    this.#committed = []
    this.#committed[start.index] = start.term
    this.#committedIn = [...this.#committed]
  }

  /** Snapshots that were installed. */
  installs = 0
  #newestChange = 0
  /** Changes of the configuration that were applied. */
  changes = 0

  /** Terms that had a leader. */
  get elections(): number {
    return this.#leaderOf.size
  }

  get committedIndex(): number {
    return this.#committed.length - 1
  }

  /** The node begins with what its disk has. */
  started(node: number, { term, commit }: RaftGroup): void {
    const log = this.#durableOf(node)
    const terms: number[] = []
    for (let index = log.firstIndex() - 1; index <= log.lastIndex(); index++) {
      terms[index] = log.term(index) ?? 0
    }
    this.#members.set(node, { term, commit, isLeader: false, terms })
  }

  /** The core has done something. */
  observe(node: number, group: RaftGroup): void {
    const member = this.#memberOf(node)
    const { term, commit } = group
    const isLeader = group.role === 'leader'
    assert.ok(term >= member.term, `the term of ${node} falls from ${member.term} to ${term}`)
    assert.ok(commit >= member.commit, `commit of ${node} falls from ${member.commit} to ${commit}`)
    const isNewLeader = isLeader && !(member.isLeader && member.term === term)
    if (isNewLeader) this.#elected(node, term, member)
    if (isLeader && commit > member.commit) this.#counted(commit, group)
    const known = this.committedIndex
    assert.ok(commit <= known, `${node} takes ${commit} for committed, beyond ${known}`)
    member.term = term
    member.commit = commit
    member.isLeader = isLeader
  }

  /** Work goes to the node's disk. */
  handedOver(node: number, { snapshot, entries }: AppendWork): void {
    const { terms, commit } = this.#memberOf(node)
    if (snapshot !== undefined) {
      this.installs++
      this.#expectCommitted(snapshot.index, snapshot.term)
      terms.length = 0
      terms[snapshot.index] = snapshot.term
    }
    for (const entry of entries) {
      const { index, term } = entry
      const isReplaced = index < terms.length && index <= Math.min(commit, this.committedIndex)
      if (isReplaced) {
        assert.equal(term, this.#committed[index], `${node} replaces the committed entry ${index}`)
      }
      assert.notEqual(terms[index], term, `${node} writes entry ${index} of term ${term} again`)
      this.#match(node, entry, terms[index - 1])
      terms.length = index
      terms[index] = term
    }
  }

  /** The node lets go of a message. */
  sent(node: number, { type, term, to, index, reject }: Message): void {
    if (reject) return
    if (type === 'voteResponse') {
      const vote = `${term} ${node}`
      const known = this.#voteOf.get(vote) ?? to
      assert.equal(to, known, `${node} votes twice in term ${term}`)
      this.#voteOf.set(vote, to)
      const { term: durable, vote: kept } = this.#durableOf(node).hardState ?? { term: 0, vote: 0 }
      const isDurable = durable > term || (durable === term && kept === to)
      assert.ok(isDurable, `${node} gives a vote of term ${term} that is not on its disk`)
    } else if (type === 'appendResponse') {
      const log = this.#durableOf(node)
      const leader = this.#members.get(to)
      if (leader?.isLeader && leader.term === term && log.term(index) !== undefined) {
        const message = `${node} acknowledges ${index}, but has another entry there than ${to}`
        assert.equal(log.term(index), leader.terms[index] ?? log.term(index), message)
      }
      // As if it had been sent before what is of a later term took the entry's place.
      const isOvertaken = (log.hardState?.term ?? 0) > term
      const message = `${node} acknowledges ${index}, but its disk ends at ${log.lastIndex()}`
      assert.ok(log.lastIndex() >= index || isOvertaken, message)
    }
  }

  /** The machine has applied the entry. */
  applied(node: number, { index, term, kind }: Entry, machine: Machine): void {
    if (kind === CONFIG_KIND && index > this.#newestChange) {
      this.#newestChange = index
      this.changes++
    }
    this.#expectCommitted(index, term)
    const log = this.#durableOf(node)
    const isDurable = index < log.firstIndex() || log.term(index) === term
    assert.ok(isDurable, `${node} applies ${index}, which is not on its disk`)
    this.machineAt(node, machine)
  }

  /** Also of a machine that was restored. */
  machineAt(node: number, { index, digest }: Machine): void {
    this.#digests[index] ??= digest
    assert.equal(digest, this.#digests[index], `the machine of ${node} differs at ${index}`)
  }

  /** @param committedBefore what was committed when it was asked */
  readReleased(node: number, index: number, committedBefore: number): void {
    const message = `${node} reads at ${index}, but ${committedBefore} was committed before`
    assert.ok(index >= committedBefore, message)
  }

  #memberOf(node: number): Member {
    const member = this.#members.get(node)
    if (member === undefined) throw new Error(`node ${node} was not started`)
    return member
  }

  #elected(node: number, term: number, { terms }: Member): void {
    const known = this.#leaderOf.get(term) ?? node
    assert.equal(node, known, `two leaders in term ${term}`)
    this.#leaderOf.set(term, node)
    let index = this.committedIndex
    // It may have been elected long ago, and hears of it only now.
    while (this.#committedIn[index] >= term) index--
    // Nothing is known of what was cut off. By log matching the last one stands for all before it.
    const message = `leader ${node} of term ${term} lacks the committed entry ${index}`
    if (terms.findIndex(there => there !== undefined) <= index) {
      assert.equal(terms[index], this.#committed[index], message)
    }
  }

  /** A leader has counted: what ends with the entry of its own term at `commit` is committed. */
  #counted(commit: number, group: RaftGroup): void {
    const { term } = group
    if (commit <= this.committedIndex) {
      this.#expectCommitted(commit, term, true)
      return
    }
    const { voters, votersOutgoing } = group.status().configuration
    for (const half of [voters, votersOutgoing]) {
      const holders = half.filter(node => this.#holds(node, commit, term))
      const isQuorum = half.length === 0 || holders.length * 2 > half.length
      assert.ok(isQuorum, `${commit} is committed, but only ${holders} of ${half} have it`)
    }
    let termThere = term
    for (let index = commit; this.#committed[index] === undefined; index--) {
      this.#committed[index] = termThere
      this.#committedIn[index] = term
      const link = this.#links.get(`${index} ${termThere}`)
      assert.ok(link !== undefined, `${index} is committed in term ${term}, but nobody wrote it`)
      termThere = link.termBefore
      this.#expectCommitted(index - 1, termThere)
    }
  }

  #holds(node: number, index: number, term: number): boolean {
    const log = this.#durableOf(node)
    return index < log.firstIndex() || log.term(index) === term
  }

  #expectCommitted(index: number, term: number, isAtMost = false): void {
    const known = this.#committed[index]
    if (known === undefined) return
    const isRight = isAtMost ? known <= term : known === term
    assert.ok(isRight, `entry ${index} is committed in term ${known}, here it is of ${term}`)
  }

  #match(node: number, { index, term, kind, payload }: Entry, termBefore = 0): void {
    const name = `${index} ${term}`
    const content = `${kind} ${payload.join()}`
    const known = this.#links.get(name)
    if (known === undefined) {
      this.#links.set(name, { termBefore, content })
      return
    }
    assert.equal(content, known.content, `${node} has another entry ${index} of term ${term}`)
    assert.equal(termBefore, known.termBefore, `${node} has another entry before ${name}`)
  }
}
