/**
 * A cluster in virtual time: members with clocks of their own speed, a network that loses, doubles
 * and reorders, disks that lose what was not written yet. A seed decides everything. What must hold
 * is checked at each step:
 *   election safety: at most one leader a term;
 *   state machine safety: members apply the same entries at the same index;
 *   linearizable reads: the index of a read is no older than any commit before it was asked.
 */
import assert from 'node:assert/strict'
import type { ConfigChange } from '../../src/codec/config-change.ts'
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import { CONFIG_KIND, type Entry, type Snapshot } from '../../src/main/raft/entry.ts'
import type { Message } from '../../src/main/raft/message.ts'
import { leaseMsMax, type RaftSettings } from '../../src/main/raft/options.ts'
import { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { AppendWork, ApplyWork } from '../../src/main/raft/ready.ts'
import { Random } from '../shared/random.ts'
import { MemoryStorage } from './memory-storage.ts'

const TICK_MS = 10
const ELECTION_TICKS = 5
const DRIFT_MAX = 0.1

interface Member {
  readonly id: number
  /** How much faster its clock runs than the slowest may. */
  readonly rate: number
  readonly storage: MemoryStorage
  group: RaftGroup
  nextTickMs: number
  appendWork: AppendWork[]
  applyWork: ApplyWork[]
  /** Responses of its own sides: reliable, in order, gone with a crash. */
  answers: Message[]
}

export class VirtualCluster {
  readonly #random: (below: number) => number
  readonly #settings: Omit<RaftSettings, 'id' | 'random'>
  readonly members: Member[]
  #network: Message[] = []
  #timeMs = 0
  #payload = 0
  #reads = 0
  /** Of each read: the newest commit when it was asked. */
  readonly #readFloor = new Map<number, number>()
  readonly #leaderOf = new Map<number, number>()
  readonly #applied: string[] = []
  readsAnswered = 0
  leaseReads = 0

  constructor(seed: number, size: number, settings: Partial<RaftSettings> = {}) {
    const source = new Random(seed)
    this.#random = below => source.below(below)
    const leaseMs = this.#random(2) * leaseMsMax(ELECTION_TICKS, TICK_MS, DRIFT_MAX)
    const isChecking = leaseMs > 0 || this.#random(3) > 0
    this.#settings = {
      electionTicks: ELECTION_TICKS,
      preVote: this.#random(3) > 0,
      checkQuorum: isChecking,
      leaseMs,
      inflightMessagesMax: 1 + this.#random(4),
      messageBytesMax: 100 * (1 + this.#random(4)),
      applyingBytesMax: 100 * (1 + this.#random(4)),
      stepDownOnRemoval: this.#random(2) > 0,
      ...settings,
    }
    const ids = Array.from({ length: size }, (_, i) => i + 1)
    const voters = ids.slice(0, Math.max(1, size - this.#random(2)))
    const configuration = { ...EMPTY_CONF_STATE, voters }
    const start: Snapshot = { index: 1, term: 1, configuration, data: new Uint8Array(0) }
    this.members = ids.map(id => {
      const storage = new MemoryStorage(start)
      const rate = 1 + (this.#random(101) / 100) * DRIFT_MAX
      const nextTickMs = this.#random(TICK_MS)
      const group = this.#start(id, storage)
      return { id, rate, storage, group, nextTickMs, appendWork: [], applyWork: [], answers: [] }
    })
  }

  #start(id: number, storage: MemoryStorage): RaftGroup {
    const { index: applied } = storage.newest
    return new RaftGroup({ ...this.#settings, id, random: this.#random, applied }, storage)
  }

  /** One random event. */
  step(): void {
    const member = this.members[this.#random(this.members.length)]
    const dice = this.#random(1000)
    if (dice < 340) this.#deliver(this.#random(100) < 10)
    else if (dice < 380) this.#passTime(this.#random(4))
    else if (dice < 560) this.#ready(member)
    else if (dice < 660) this.#append(member)
    else if (dice < 740) this.#apply(member)
    else if (dice < 860) this.#answer(member)
    else if (dice < 930) this.#propose(member)
    else if (dice < 970) this.#read(member)
    else if (dice < 978) this.#change(member)
    else if (dice < 984) member.group.transferLeadership(1 + this.#random(this.members.length))
    else if (dice < 988) this.#cut(member)
    else if (dice < 991) member.group.campaign()
    else if (dice < 993) member.group.reportUnreachable(1 + this.#random(this.members.length))
    else if (dice < 996) this.#partition()
    else if (dice < 998) this.#passTime(this.#random(200))
    else this.#crash(member)
    this.#check()
  }

  /** Everything is delivered and done, time passes: @returns whether all came to agree. */
  heal(): boolean {
    for (let round = 0; round < 300; round++) {
      this.#passTime(TICK_MS)
      for (let again = true; again; ) {
        again = false
        for (const member of this.members) {
          const { appendWork, applyWork, answers, group } = member
          if (!group.hasReady() && !appendWork.length && !applyWork.length && !answers.length) {
            continue
          }
          again = true
          this.#ready(member)
          while (member.appendWork.length > 0) this.#append(member)
          while (member.applyWork.length > 0) this.#apply(member)
          while (member.answers.length > 0) this.#answer(member)
        }
        while (this.#network.length > 0) this.#step(this.#network.shift())
        this.#check()
      }
      const leader = this.members.find(({ group }) => group.status().role === 'leader')
      if (leader !== undefined && round % 50 === 49) this.#propose(leader)
      if (leader !== undefined && round > 150 && this.#agree(leader)) return true
    }
    return false
  }

  #agree(leader: Member): boolean {
    const { commit, progress, term } = leader.group.status()
    const [own] = leader.storage.entries(commit, commit + 1, 1) ?? []
    if (own?.term !== term) return false
    return this.members.every(
      ({ id, group }) => !progress.has(id) || group.status().applied === commit,
    )
  }

  #newestCommit(): number {
    return Math.max(...this.members.map(({ group }) => group.status().commit))
  }

  /** Ticks come at least TICK_MS apart by the member's own clock; a late one counts once. */
  #passTime(ms: number): void {
    this.#timeMs += ms
    for (const member of this.members) {
      const now = this.#clock(member)
      if (now < member.nextTickMs) continue
      member.nextTickMs = now + TICK_MS
      member.group.tick(now)
    }
  }

  #clock({ rate }: Member): number {
    return this.#timeMs * rate
  }

  #deliver(isRepeated: boolean): void {
    if (this.#network.length === 0) return
    // Mostly in order, or nothing would ever get along.
    const reach = this.#random(4) === 0 ? this.#network.length : Math.min(3, this.#network.length)
    const at = this.#random(reach)
    const sent = this.#network[at]
    if (!isRepeated) this.#network.splice(at, 1)
    if (this.#random(100) < 4) return
    this.#step(sent)
  }

  #step(sent: Message | undefined): void {
    if (sent !== undefined) this.members.at(sent.to - 1)?.group.step(sent)
  }

  #partition(): void {
    const lost = this.#random(2 ** this.members.length)
    this.#network = this.#network.filter(({ to }) => ((lost >> (to - 1)) & 1) === 0)
  }

  #ready(member: Member): void {
    if (!member.group.hasReady()) return
    const { messages, append, apply, reads } = member.group.ready()
    this.#network.push(...messages)
    if (append !== undefined) member.appendWork.push(append)
    if (apply !== undefined) member.applyWork.push(apply)
    for (const { context, index } of reads) {
      const floor = this.#readFloor.get(context) ?? 0
      assert.ok(index >= floor, `read ${context} at ${index}, but ${floor} was committed before`)
      this.readsAnswered++
    }
  }

  #append({ id, storage, appendWork, answers }: Member): void {
    const work = appendWork.shift()
    if (work === undefined) return
    storage.append(work)
    if (work.snapshot !== undefined) storage.newest = work.snapshot
    for (const response of work.responses) {
      if (response.to === id) answers.push(response)
      else this.#network.push(response)
    }
  }

  #apply({ storage, group, applyWork, answers }: Member): void {
    const work = applyWork.shift()
    if (work === undefined) return
    for (const entry of work.entries) {
      const { index, term } = entry
      if (index <= storage.newest.index) continue
      assert.equal(index, storage.newest.index + 1, 'entries are applied one after the other')
      this.#checkApplied(entry)
      const isChange = entry.kind === CONFIG_KIND
      const configuration = isChange ? group.applyChange(entry) : storage.newest.configuration
      if (configuration === undefined) break
      storage.newest = { index, term, configuration, data: storage.newest.data }
    }
    answers.push(work.response)
  }

  #checkApplied({ index, term, kind, payload }: Entry): void {
    const text = `${term} ${kind} ${payload.join()}`
    this.#applied[index] ??= text
    assert.equal(text, this.#applied[index], `entry ${index} differs`)
  }

  #answer({ group, answers }: Member): void {
    const answer = answers.shift()
    if (answer !== undefined) group.step(answer)
  }

  #propose({ group }: Member): void {
    const payload = Uint8Array.of(++this.#payload, this.#payload >> 8)
    group.propose([{ kind: 1, payload }])
  }

  #read(member: Member): void {
    const context = ++this.#reads
    this.#readFloor.set(context, this.#newestCommit())
    const before = this.readsAnswered
    const hadReady = member.group.hasReady()
    member.group.readIndex(context, this.#clock(member))
    if (hadReady || !member.group.hasReady()) return
    const messages = this.#network.length
    this.#ready(member)
    if (this.readsAnswered > before && this.#network.length === messages) this.leaseReads++
  }

  /** Nobody removes itself: as the leader it hands over first (docs/raft.md). */
  #change({ id, group }: Member): void {
    const operations = ['voter', 'voter', 'learner', 'remove'] as const
    const drawn = Array.from({ length: this.#random(4) }, () => ({
      operation: operations[this.#random(operations.length)],
      member: 1 + this.#random(this.members.length),
    }))
    const changes = drawn.filter(({ operation, member }) => operation === 'voter' || member !== id)
    const transitions = ['auto', 'auto', 'implicit', 'explicit'] as const
    const transition = transitions[this.#random(transitions.length)]
    const change: ConfigChange = { transition, changes }
    group.proposeChange(change)
  }

  /** The log is cut somewhere up to what is applied. */
  #cut({ storage }: Member): void {
    const first = storage.firstIndex()
    const { index } = storage.newest
    if (index >= first) storage.compact(first + this.#random(index - first + 1))
  }

  /** What was not written is lost, and what was and need not have been synced. */
  #crash(member: Member): void {
    member.appendWork = []
    member.applyWork = []
    member.answers = []
    member.storage.crash()
    member.group = this.#start(member.id, member.storage)
  }

  #check(): void {
    for (const { id, group } of this.members) {
      const { role, term } = group.status()
      if (role !== 'leader') continue
      const known = this.#leaderOf.get(term) ?? id
      assert.equal(id, known, `two leaders in term ${term}`)
      this.#leaderOf.set(term, id)
    }
  }

  /** How many terms had a leader. */
  get elections(): number {
    return this.#leaderOf.size
  }

  get appliedCount(): number {
    return this.#applied.length
  }
}
