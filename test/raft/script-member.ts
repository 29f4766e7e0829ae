/**
 * A member of a script's cluster: core, storage, and the work of its append and apply sides. With
 * `isAsync` the script moves the sides; else what a ready has is done with it, at once: a thin
 * adapter over the same core.
 */
import { CONFIG_KIND, type Entry, REFUSED_KIND, type Snapshot } from '../../src/main/raft/entry.ts'
import type { Message } from '../../src/main/raft/message.ts'
import type { RaftSettings } from '../../src/main/raft/options.ts'
import { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { AppendWork, ApplyWork, Ready } from '../../src/main/raft/ready.ts'
import {
  describeAppendWork,
  describeApplyWork,
  describeMessage,
  describeReady,
} from './describe.ts'
import { MemoryStorage } from './memory-storage.ts'

/** What a step prints, and what it puts into the network. */
interface Done {
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

export class ScriptMember {
  readonly id: number
  readonly group: RaftGroup
  readonly storage: MemoryStorage
  readonly appendWork: AppendWork[] = []
  readonly applyWork: ApplyWork[] = []
  readonly #isAsync: boolean

  constructor(settings: RaftSettings, start: Snapshot, isAsync: boolean) {
    this.id = settings.id
    this.#isAsync = isAsync
    this.storage = new MemoryStorage(start, referenceBytes)
    this.group = new RaftGroup(
      { ...settings, applyBeforeAppend: !isAsync, entryBytes: referenceBytes },
      this.storage,
    )
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
    const shown = describeReady(ready, lines, this.storage.hardState)
    return { lines: shown.split('\n'), sent: messages }
  }

  #doAll(ready: Ready): Done {
    const { append, apply } = ready
    const responses = append?.responses ?? []
    const sent = [...ready.messages, ...responses.filter(({ to }) => to !== this.id)]
    const lines = describeReady(ready, sent.map(describeMessage), this.storage.hardState).split(
      '\n',
    )
    if (append !== undefined) this.storage.append(append)
    if (apply !== undefined) this.#apply(apply.entries)
    for (const response of responses) if (response.to === this.id) this.group.step(response)
    if (apply !== undefined) this.group.step(apply.response)
    return { lines, sent }
  }

  processAppend(): Done {
    const work = this.appendWork.shift()
    if (work === undefined) return { lines: ['no append work to perform'], sent: [] }
    this.storage.append(work)
    const shown = describeAppendWork(this.id, work, false)
    return processed(shown, work.responses)
  }

  processApply(): Done {
    const work = this.applyWork.shift()
    if (work === undefined) return { lines: ['no apply work to perform'], sent: [] }
    this.#apply(work.entries)
    return processed(describeApplyWork(this.id, work, false), [work.response])
  }

  /** The state machine of scripts appends: its state is all payloads, one after the other. */
  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index, term, kind, payload } = entry
      const isChange = kind === CONFIG_KIND
      const { configuration, data } = this.storage.newest
      const changed = isChange ? this.group.applyChange(entry) : undefined
      this.storage.newest = {
        index,
        term,
        configuration: changed ?? configuration,
        data: isChange ? data : Uint8Array.of(...data, ...payload),
      }
    }
  }
}

function processed(shown: string, responses: readonly Message[]): Done {
  const answers = responses.map(describeMessage)
  return { lines: ['Processing:', shown, 'Responses:', ...answers], sent: responses }
}
