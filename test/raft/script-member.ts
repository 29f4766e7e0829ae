/**
 * A member of a script's cluster: core, storage, and the work of its append and apply sides. With
 * `isAsync` the script moves the sides; else what a ready has is done with it, at once: a thin
 * adapter over the same core.
 */
import {
  CONFIG_KIND,
  type Entry,
  type HardState,
  REFUSED_KIND,
  type Snapshot,
} from '../../src/main/raft/entry.ts'
import type { Message } from '../../src/main/raft/message.ts'
import type { RaftSettings } from '../../src/main/raft/options.ts'
import { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { AppendWork, ApplyWork, Ready } from '../../src/main/raft/ready.ts'
import type { ClusterSafety } from './cluster-safety.ts'
import {
  describeAppendWork,
  describeApplyWork,
  describeHardState,
  describeMessage,
  describeReady,
} from './describe.ts'
import { MemoryStorage } from './memory-storage.ts'

/** What a step prints, and what it puts into the network. */
export interface Done {
  readonly lines: string[]
  readonly sent: readonly Message[]
}

/**
 * What the reference's encoding of an entry takes, in which limits of scripts are given: tagged
 * numbers, small here, for term and index; for the type unless it was left out; and tag, length and
 * bytes of a payload.
 */
function referenceBytes({ kind, payload }: Entry): number {
  if (kind === CONFIG_KIND) {
    const changes = Math.max(0, payload.length - 4) / 9
    return 6 + (payload.length === 0 ? 0 : 4 + 6 * changes)
  }
  const numbersBytes = kind === REFUSED_KIND ? 6 : 4
  return numbersBytes + (payload.length === 0 ? 0 : 2 + payload.length)
}

/** What a member has on its disk when it runs for the first time. */
export interface MemberDisk {
  readonly snapshot: Snapshot
  readonly hardState: HardState | undefined
  readonly entries: readonly Entry[]
}

export class ScriptMember {
  readonly id: number
  readonly storage: MemoryStorage
  group: RaftGroup
  isDown = false
  appendWork: AppendWork[] = []
  applyWork: ApplyWork[] = []
  readonly #settings: RaftSettings
  readonly #isAsync: boolean
  readonly #safety: ClusterSafety
  /** The applied state after each entry: a restart may begin with an older one. */
  readonly #states = new Map<number, Snapshot>()

  constructor(settings: RaftSettings, disk: MemberDisk, isAsync: boolean, safety: ClusterSafety) {
    this.id = settings.id
    this.#settings = { ...settings, applyBeforeAppend: !isAsync, entryBytes: referenceBytes }
    this.#isAsync = isAsync
    this.#safety = safety
    this.storage = new MemoryStorage(disk.snapshot, referenceBytes)
    this.#states.set(disk.snapshot.index, disk.snapshot)
    const { hardState, entries } = disk
    const isEmpty = hardState === undefined && entries.length === 0
    if (!isEmpty) {
      this.storage.append({
        hardState,
        snapshot: undefined,
        entries,
        mustSync: true,
      })
    }
    this.group = this.#start()
  }

  #start(): RaftGroup {
    return new RaftGroup({ ...this.#settings, applied: this.storage.newest.index }, this.storage)
  }

  /**
   * Stops without a warning. Gone: what the core had not handed over, the work that its sides had
   * not done, and what was written without need to sync it. What is applied stays.
   */
  crash(): string[] {
    const appends = this.appendWork.map(work => describeAppendWork(this.id, work, false))
    const applies = this.applyWork.map(work => describeApplyWork(this.id, work, false))
    const before = this.storage.hardState
    this.appendWork = []
    this.applyWork = []
    this.isDown = true
    this.storage.crash()
    const after = this.storage.hardState
    const lost = [...appends, ...applies]
    if (before !== undefined && before !== after) lost.push(describeHardState(before))
    return lost.map(text => `lost: ${text}`)
  }

  /** @param applied the state machine is of that entry; without, of the newest that it applied */
  restart(applied: number | undefined): string[] {
    if (applied !== undefined) {
      const state = this.#states.get(applied)
      if (state === undefined) throw new Error(`member ${this.id} has no state of ${applied}`)
      this.storage.newest = state
    }
    this.isDown = false
    this.group = this.#start()
    const { hardState, newest } = this.storage
    const hard = hardState === undefined ? 'no HardState' : describeHardState(hardState)
    return [`${hard} Last:${this.storage.lastIndex()} Applied:${newest.index}`]
  }

  processReady(): Done {
    const ready = this.group.ready()
    return this.#isAsync ? this.#queue(ready) : this.#doAll(ready)
  }

  #queue(ready: Ready): Done {
    const { messages, append, apply } = ready
    const lines = messages.map(describeMessage)
    if (append !== undefined) {
      this.appendWork.push(append)
      lines.push(describeAppendWork(this.id, append, true))
    }
    if (apply !== undefined) {
      this.applyWork.push(apply)
      lines.push(describeApplyWork(this.id, apply, true))
    }
    return { lines: describeReady(ready, lines).split('\n'), sent: messages }
  }

  #doAll(ready: Ready): Done {
    const { append, apply } = ready
    const responses = append?.responses ?? []
    const sent = [...ready.messages, ...responses.filter(({ to }) => to !== this.id)]
    const lines = describeReady(ready, sent.map(describeMessage)).split('\n')
    if (append !== undefined) this.#append(append)
    if (apply !== undefined) this.#apply(apply.entries)
    for (const response of responses) if (response.to === this.id) this.group.step(response)
    if (apply !== undefined) this.group.step(apply.response)
    return { lines, sent }
  }

  processAppend(): Done {
    const work = this.appendWork.shift()
    if (work === undefined) return { lines: ['no append work to perform'], sent: [] }
    this.#append(work)
    const shown = describeAppendWork(this.id, work, false)
    return processed(shown, work.responses)
  }

  processApply(): Done {
    const work = this.applyWork.shift()
    if (work === undefined) return { lines: ['no apply work to perform'], sent: [] }
    this.#apply(work.entries)
    return processed(describeApplyWork(this.id, work, false), [work.response])
  }

  #append(work: AppendWork): void {
    this.storage.append(work)
    if (work.snapshot !== undefined) this.#keep(work.snapshot)
  }

  /** The state machine of scripts appends: its state is all payloads, one after the other. */
  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index, term, kind, payload } = entry
      const before = this.storage.newest
      // A snapshot that has been installed has it.
      if (index <= before.index) continue
      this.#safety.apply(this.id, entry)
      const isChange = kind === CONFIG_KIND
      const configuration = isChange ? this.group.applyChange(entry) : before.configuration
      if (configuration === undefined) return
      const data = isChange ? before.data : Uint8Array.of(...before.data, ...payload)
      this.#keep({ index, term, configuration, data })
    }
  }

  #keep(state: Snapshot): void {
    this.#safety.reach(this.id, state)
    this.storage.newest = state
    this.#states.set(state.index, state)
  }
}

function processed(shown: string, responses: readonly Message[]): Done {
  const answers = responses.map(describeMessage)
  return { lines: ['Processing:', shown, 'Responses:', ...answers], sent: responses }
}
