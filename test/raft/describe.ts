/** The text that transcripts have for messages, readies and states. */
import type { MemberChange } from '../../src/codec/config-change.ts'
import { decodeConfigChange } from '../../src/codec/config-change.ts'
import type { ConfState } from '../../src/main/raft/configuration.ts'
import {
  CONFIG_KIND,
  type Entry,
  type HardState,
  type Snapshot,
} from '../../src/main/raft/entry.ts'
import { APPEND_SIDE, APPLY_SIDE, type Message, message } from '../../src/main/raft/message.ts'
import type { Progress } from '../../src/main/raft/progress.ts'
import type { Role } from '../../src/main/raft/raft.ts'
import type { Read } from '../../src/main/raft/reads.ts'
import type { AppendWork, ApplyWork, Ready } from '../../src/main/raft/ready.ts'

export const MESSAGE_NAMES: Readonly<Record<Message['type'], string>> = {
  vote: 'MsgVote',
  voteResponse: 'MsgVoteResp',
  preVote: 'MsgPreVote',
  preVoteResponse: 'MsgPreVoteResp',
  append: 'MsgApp',
  appendResponse: 'MsgAppResp',
  heartbeat: 'MsgHeartbeat',
  heartbeatResponse: 'MsgHeartbeatResp',
  snapshot: 'MsgSnap',
  timeoutNow: 'MsgTimeoutNow',
  transferLeader: 'MsgTransferLeader',
  readIndex: 'MsgReadIndex',
  readIndexResponse: 'MsgReadIndexResp',
  propose: 'MsgProp',
  appended: 'MsgStorageAppendResp',
  applied: 'MsgStorageApplyResp',
}

export const ROLE_NAMES: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  preCandidate: 'StatePreCandidate',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
}

const PROGRESS_NAMES = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot',
} as const

const LETTERS = { voter: 'v', learner: 'l', remove: 'r', update: 'u' } as const

/** What the core's refusals are called in scripts. */
export const DROPPED = 'raft proposal dropped'
export const NO_MEMBER = 'raft: cannot step as peer not found'

const decoder = new TextDecoder()

/** Payloads of changes that a script proposed in the reference's first format. */
export const firstFormatChanges: WeakSet<Uint8Array> = new WeakSet<Uint8Array>()

/** A message to one of the local sides, as scripts see its work. */
interface Shown extends Message {
  readonly name: string
  readonly vote: number
  readonly responses: readonly Message[]
}

function shown(sent: Message): Shown {
  return { ...sent, name: MESSAGE_NAMES[sent.type], vote: 0, responses: [] }
}

export function describeAppendWork(id: number, work: AppendWork, withResponses: boolean): string {
  const { hardState, snapshot, entries, responses } = work
  return describe({
    ...message('appended', APPEND_SIDE, { from: id, entries, snapshot }),
    name: 'MsgStorageAppend',
    term: hardState?.term ?? 0,
    vote: hardState?.vote ?? 0,
    commit: hardState?.commit ?? 0,
    responses: withResponses ? responses : [],
  })
}

export function describeApplyWork(id: number, work: ApplyWork, withResponses: boolean): string {
  const responses = withResponses ? [work.response] : []
  const sent = message('applied', APPLY_SIDE, { from: id, entries: work.entries })
  return describe({ ...sent, name: 'MsgStorageApply', vote: 0, responses })
}

export function describeMessage(sent: Message): string {
  return describe(shown(sent))
}

/** With what the reference does not print: rounds of heartbeats, votes by transfer. */
export function describeInFull(sent: Message): string {
  let text = describeMessage(sent)
  if (sent.round !== 0) text += ` Round:${sent.round}`
  return sent.transfer ? `${text} Transfer` : text
}

function describe(sent: Shown, indent = ''): string {
  const { from, to, name, term, logTerm, index, reject, rejectHint, commit, vote } = sent
  let text = `${indent}${target(from)}->${target(to)} ${name} Term:${term} Log:${logTerm}/${index}`
  if (reject) text += ` Rejected (Hint: ${rejectHint})`
  if (sent.context !== 0) text += ` Context:${sent.context}`
  if (commit !== 0) text += ` Commit:${commit}`
  if (vote !== 0) text += ` Vote:${vote}`
  if (sent.entries.length === 1) {
    text += ` Entries:[${describeEntry(sent.entries[0])}]`
  } else if (sent.entries.length > 1) {
    const lines = sent.entries.map(entry => `\n${indent}  ${describeEntry(entry)}`)
    text += ` Entries:[${lines.join('')}\n${indent}]`
  }
  if (sent.snapshot !== undefined) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(sent.snapshot)}`
  }
  if (sent.responses.length > 0) {
    const lines = sent.responses.map(response => `\n${describe(shown(response), `${indent}  `)}`)
    text += ` Responses:[${lines.join('')}\n${indent}]`
  }
  return text
}

function target(id: number): string {
  if (id === APPEND_SIDE) return 'AppendThread'
  return id === APPLY_SIDE ? 'ApplyThread' : String(id)
}

export function describeEntry({ term, index, kind, payload }: Entry): string {
  const place = `${term}/${index}`
  if (kind !== CONFIG_KIND) return `${place} EntryNormal ${JSON.stringify(decoder.decode(payload))}`
  const name = firstFormatChanges.has(payload) ? 'EntryConfChange' : 'EntryConfChangeV2'
  return [place, name, ...decodeConfigChange(payload).changes.map(describeChange)].join(' ')
}

function describeChange({ operation, member }: MemberChange): string {
  return `${LETTERS[operation]}${member}`
}

function describeSnapshot({ index, term, configuration }: Snapshot): string {
  return `Index:${index} Term:${term} ConfState:${describeConfState(configuration)}`
}

function describeConfState(state: ConfState): string {
  const list = (ids: readonly number[]): string => `[${ids.join(' ')}]`
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} ` +
    `Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} ` +
    `AutoLeave:${state.autoLeave}`
  )
}

export function describeHardState({ term, vote, commit }: HardState): string {
  return `HardState Term:${term}${vote === 0 ? '' : ` Vote:${vote}`} Commit:${commit}`
}

/** @param messages what the script sees as sent with it, one line each */
export function describeReady(ready: Ready, messages: readonly string[]): string {
  const { softState, append, apply, reads, readsDropped } = ready
  const lines: string[] = []
  if (softState !== undefined) {
    lines.push(`Lead:${softState.lead} State:${ROLE_NAMES[softState.role]}`)
  }
  if (append?.hardState !== undefined) lines.push(describeHardState(append.hardState))
  lines.push(...section('Entries:', append?.entries.map(describeEntry)))
  if (append?.snapshot !== undefined) lines.push(`Snapshot ${describeSnapshot(append.snapshot)}`)
  lines.push(...section('CommittedEntries:', apply?.entries.map(describeEntry)))
  lines.push(...section('Reads:', reads.map(describeRead)))
  lines.push(...section('ReadsDropped:', readsDropped.map(String)))
  lines.push(...section('Messages:', messages))
  if (lines.length === 0) return '<empty Ready>'
  return [`Ready MustSync=${showsSync(append)}:`, ...lines].join('\n')
}

/** The reference says nothing of snapshots here: it has them installed by other means. */
function showsSync(append: AppendWork | undefined): boolean {
  return append !== undefined && append.snapshot === undefined && append.mustSync
}

function describeRead({ context, index }: Read): string {
  return `${context} at ${index}`
}

function section(title: string, lines: readonly string[] = []): string[] {
  return lines.length === 0 ? [] : [title, ...lines]
}

export function describeProgress(progress: ReadonlyMap<number, Progress>): string[] {
  return [...progress].map(([id, of]) => {
    const { inflights } = of
    let text = `${id}: ${PROGRESS_NAMES[of.state]} match=${of.match} next=${of.next}`
    if (of.isLearner) text += ' learner'
    if (of.isPaused) text += ' paused'
    if (of.pendingSnapshot > 0) text += ` pendingSnap=${of.pendingSnapshot}`
    if (!of.isActive) text += ' inactive'
    if (inflights.count > 0)
      text += ` inflight=${inflights.count}${inflights.isFull ? '[full]' : ''}`
    return text
  })
}
