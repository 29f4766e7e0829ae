/** `add-nodes`: what members of a script's cluster are told, and what their disks begin with. */
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import type { Entry, HardState, Snapshot } from '../../src/main/raft/entry.ts'
import type { RaftSettings } from '../../src/main/raft/options.ts'
import { type Command, numberOption, numbers, option } from './script.ts'
import type { ScriptCluster } from './script-cluster.ts'
import { type MemberDisk, ScriptMember } from './script-member.ts'

export const ELECTION_TICKS = 3
export const HEARTBEAT_TICKS = 1
/** Kind of the entries that scripts propose. */
export const NORMAL_KIND = 1

export function addNodes(cluster: ScriptCluster, command: Command): string[] {
  const isAsync = isOn(command, 'async-storage-writes')
  for (let i = 0; i < Number(command.words[0]); i++) {
    const settings = { ...settingsOf(command), id: cluster.members.length + 1 }
    cluster.members.push(new ScriptMember(settings, diskOf(command), isAsync, cluster.safety))
  }
  return []
}

function isOn(command: Command, name: string, byDefault = 'false'): boolean {
  return (option(command, name) ?? byDefault) === 'true'
}

function settingsOf(command: Command): Omit<RaftSettings, 'id'> {
  const limit = (name: string): number => numberOption(command, name) ?? Number.POSITIVE_INFINITY
  const ofReference = option(command, 'read-only') === 'lease-based' ? 1 : 0
  return {
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    snapshotTicks: numberOption(command, 'snapshot-ticks') ?? 100,
    random: drawing(numbers(command.options.get('random'))),
    preVote: isOn(command, 'prevote'),
    checkQuorum: isOn(command, 'checkquorum'),
    stepDownOnRemoval: isOn(command, 'step-down-on-removal'),
    skipChangeChecks: isOn(command, 'disable-conf-change-validation'),
    leaseMs: numberOption(command, 'lease-ms') ?? ofReference,
    forwardProposals: isOn(command, 'forward-proposals', 'true'),
    messageBytesMax: limit('max-size-per-msg'),
    inflightBytesMax: limit('max-inflight-bytes'),
    uncommittedBytesMax: limit('max-uncommitted-size'),
    inflightMessagesMax: numberOption(command, 'inflight') ?? 256,
    applyingBytesMax: limit('max-committed-size-per-ready'),
  }
}

/** Draws these, over and over; without any always 0, the shortest timeout. */
function drawing(values: readonly number[]): (below: number) => number {
  let drawn = 0
  return below => (values.length === 0 ? 0 : values[drawn++ % values.length] % below)
}

/** A snapshot at `index`, then entries of the terms of `log`, and a hard state if one is named. */
function diskOf(command: Command): MemberDisk {
  const index = numberOption(command, 'index') ?? 0
  const snapshot: Snapshot = {
    index,
    term: index === 0 ? 0 : 1,
    configuration: {
      ...EMPTY_CONF_STATE,
      voters: numbers(command.options.get('voters')),
      learners: numbers(command.options.get('learners')),
    },
    data: new Uint8Array(0),
  }
  const terms = numbers(command.options.get('log'))
  const entries = terms.map((term, i): Entry => {
    return { term, index: index + 1 + i, kind: NORMAL_KIND, payload: new Uint8Array(0) }
  })
  return { snapshot, entries, hardState: hardStateOf(command, index) }
}

function hardStateOf(command: Command, index: number): HardState | undefined {
  const term = numberOption(command, 'term')
  if (term === undefined) return undefined
  const vote = numberOption(command, 'vote') ?? 0
  return { term, vote, commit: numberOption(command, 'commit') ?? index }
}
