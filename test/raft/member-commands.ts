/** Commands for what happens at one member: time, elections, transfers, proposals, reads. */
import { CONFIG_TRANSITIONS, encodeConfigChange } from '../../src/codec/config-change.ts'
import { CONFIG_KIND } from '../../src/main/raft/entry.ts'
import type { RaftGroup } from '../../src/main/raft/raft-group.ts'
import { ELECTION_TICKS, HEARTBEAT_TICKS, NORMAL_KIND } from './add-nodes.ts'
import { parseChanges } from './confchange-commands.ts'
import { DROPPED, firstFormatChanges } from './describe.ts'
import { type Command, numberOption, option } from './script.ts'
import type { Handlers, ScriptCluster } from './script-cluster.ts'

const encoder = new TextEncoder()

export const MEMBER_COMMANDS: Handlers = {
  campaign: onGroup(group => group.campaign()),
  'forget-leader': onGroup(group => group.forgetLeader()),
  'tick-election': onGroup(group => tick(group, ELECTION_TICKS, 0)),
  'tick-heartbeat': onGroup(group => tick(group, HEARTBEAT_TICKS, 0)),
  /** At the clock's time `now`, which leases are made of. */
  tick: (cluster, command) => {
    const nowMs = numberOption(command, 'now') ?? 0
    for (const id of command.words) {
      tick(cluster.member(id).group, numberOption(command, 'count') ?? 1, nowMs)
    }
    return []
  },
  'set-randomized-election-timeout': onGroup((group, command) =>
    group.setElectionTimeout(numberOption(command, 'timeout') ?? ELECTION_TICKS),
  ),
  'report-unreachable': onGroup((group, { words: [, lost] }) =>
    group.reportUnreachable(Number(lost)),
  ),
  'report-snapshot': onGroup((group, { words: [, to, what] }) =>
    group.reportSnapshot(Number(to), what === 'sent'),
  ),
  'transfer-leadership': (cluster, command) => {
    const { group } = cluster.member(option(command, 'from'))
    group.transferLeadership(numberOption(command, 'to') ?? 0)
    return []
  },
  propose: (cluster, { words: [at], rest }) => {
    const payload = encoder.encode(rest.slice(at.length).trim())
    const isTaken = cluster.member(at).group.propose([{ kind: NORMAL_KIND, payload }])
    return isTaken ? [] : [DROPPED]
  },
  'propose-conf-change': proposeChange,
  'read-index': (cluster, command) => {
    const [at, context] = command.words
    const nowMs = numberOption(command, 'now') ?? 0
    return cluster.member(at).group.readIndex(Number(context), nowMs) ? [] : ['no leader is known']
  },
}

function onGroup(action: (group: RaftGroup, command: Command) => void): Handlers[string] {
  return (cluster, command) => {
    action(cluster.member(command.words[0]).group, command)
    return []
  }
}

function tick(group: RaftGroup, count: number, nowMs: number): void {
  for (let i = 0; i < count; i++) group.tick(nowMs)
}

function proposeChange(cluster: ScriptCluster, command: Command): string[] {
  const named = option(command, 'transition') ?? 'auto'
  const transition = CONFIG_TRANSITIONS.find(name => name === named)
  if (transition === undefined) throw new Error(`no transition ${named}`)
  const payload = encodeConfigChange({ transition, changes: parseChanges(command.input) })
  if (option(command, 'v1') === 'true') firstFormatChanges.add(payload)
  const { group } = cluster.member(command.words[0])
  return group.propose([{ kind: CONFIG_KIND, payload }]) ? [] : [DROPPED]
}
