/** Clusters: members, what is under way between them, and the commands of scripts that drive both. */
import { CONFIG_TRANSITIONS, encodeConfigChange } from '../../src/codec/config-change.ts'
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import type { Entry, Snapshot } from '../../src/main/raft/entry.ts'
import { CONFIG_KIND } from '../../src/main/raft/entry.ts'
import { type Message, message } from '../../src/main/raft/message.ts'
import type { RaftSettings } from '../../src/main/raft/options.ts'
import { parseChanges } from './confchange-commands.ts'
import {
  describeEntry,
  describeMessage,
  describeProgress,
  firstFormatChanges,
  MESSAGE_NAMES,
  ROLE_NAMES,
} from './describe.ts'
import { type Command, numbers, option } from './script.ts'
import { ScriptMember } from './script-member.ts'

const ELECTION_TICKS = 3
const HEARTBEAT_TICKS = 1
/** Kind of the entries that scripts propose. */
const NORMAL_KIND = 1
const DROPPED = 'raft proposal dropped'
const NO_MEMBER = 'raft: cannot step as peer not found'

const encoder = new TextEncoder()

export class ClusterCommands {
  readonly #members: ScriptMember[] = []
  /** Sent and not yet delivered, oldest first. */
  #network: Message[] = []
  #isQuiet = false

  /** @returns what the command prints, or undefined if there is no such command */
  run(command: Command): string | undefined {
    const handler = this.#handlers.get(command.name)
    if (handler === undefined) return undefined
    const wasQuiet = this.#isQuiet
    if (option(command, 'log-level') === 'none') this.#isQuiet = true
    const lines = handler(command)
    const isQuiet = this.#isQuiet
    if (command.name !== 'log-level') this.#isQuiet = wasQuiet
    return isQuiet || lines.length === 0 ? 'ok' : lines.join('\n')
  }

  readonly #handlers: ReadonlyMap<string, (command: Command) => string[]> = new Map(
    Object.entries({
      'log-level': (command: Command) => {
        this.#isQuiet = command.words[0] === 'none'
        return []
      },
      'add-nodes': (command: Command) => this.#addMembers(command),
      campaign: (command: Command) => this.#call(command, member => member.group.campaign()),
      'forget-leader': (command: Command) =>
        this.#call(command, member => member.group.forgetLeader()),
      'tick-election': (command: Command) => this.#tick(command, ELECTION_TICKS),
      'tick-heartbeat': (command: Command) => this.#tick(command, HEARTBEAT_TICKS),
      'set-randomized-election-timeout': (command: Command) =>
        this.#call(command, member =>
          member.group.setElectionTimeout(Number(option(command, 'timeout'))),
        ),
      'report-unreachable': ({ words: [at, lost] }: Command) => {
        this.#member(at).group.reportUnreachable(Number(lost))
        return []
      },
      'transfer-leadership': (command: Command) => {
        const member = this.#member(option(command, 'from'))
        member.group.transferLeadership(Number(option(command, 'to')))
        return []
      },
      propose: ({ words: [at], rest }: Command) => {
        const payload = encoder.encode(rest.slice(at.length).trim())
        const isTaken = this.#member(at).group.propose([{ kind: NORMAL_KIND, payload }])
        return isTaken ? [] : [DROPPED]
      },
      'propose-conf-change': (command: Command) => this.#proposeChange(command),
      status: ({ words: [at] }: Command) =>
        describeProgress(this.#member(at).group.status().progress),
      'raft-state': () => this.#members.map(describeState),
      'raft-log': ({ words: [at] }: Command) => describeLog(this.#member(at)),
      compact: ({ words: [at, index] }: Command) => {
        this.#member(at).storage.compact(Number(index))
        return describeLog(this.#member(at))
      },
      'send-snapshot': ({ words: [from, to] }: Command) => this.#sendSnapshot(from, to),
      'process-ready': (command: Command) =>
        this.#each(command, 'handling Ready', member => this.#processReady(member)),
      'process-append-thread': (command: Command) =>
        this.#each(command, 'processing append thread', member => this.#processAppend(member)),
      'process-apply-thread': (command: Command) =>
        this.#each(command, 'processing apply thread', member => this.#processApply(member)),
      'deliver-msgs': (command: Command) => this.#deliverAll(command),
      stabilize: ({ words }: Command) => this.#stabilize(words),
    }),
  )

  #member(id: string | undefined): ScriptMember {
    const member = this.#members.at(Number(id) - 1)
    if (member === undefined) throw new Error(`no member ${id}`)
    return member
  }

  #call({ words: [at] }: Command, action: (member: ScriptMember) => void): string[] {
    action(this.#member(at))
    return []
  }

  #tick(command: Command, count: number): string[] {
    return this.#call(command, member => {
      for (let i = 0; i < count; i++) member.group.tick(0)
    })
  }

  #addMembers(command: Command): string[] {
    const numberOf = (name: string): number | undefined => {
      const value = option(command, name)
      return value === undefined ? undefined : Number(value)
    }
    const isOn = (name: string): boolean => option(command, name) === 'true'
    const index = numberOf('index') ?? 0
    const start: Snapshot = {
      index,
      term: index === 0 ? 0 : 1,
      configuration: {
        ...EMPTY_CONF_STATE,
        voters: numbers(command.options.get('voters')),
        learners: numbers(command.options.get('learners')),
      },
      data: new Uint8Array(0),
    }
    const settings: Omit<RaftSettings, 'id'> = {
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: () => 0,
      preVote: isOn('prevote'),
      checkQuorum: isOn('checkquorum'),
      stepDownOnRemoval: isOn('step-down-on-removal'),
      skipChangeChecks: isOn('disable-conf-change-validation'),
      leaseMs: option(command, 'read-only') === 'lease-based' ? 1 : 0,
      forwardProposals: true,
      applied: index,
      messageBytesMax: Number.POSITIVE_INFINITY,
      inflightBytesMax: Number.POSITIVE_INFINITY,
      uncommittedBytesMax: Number.POSITIVE_INFINITY,
      inflightMessagesMax: numberOf('inflight') ?? 256,
      applyingBytesMax: numberOf('max-committed-size-per-ready') ?? Number.POSITIVE_INFINITY,
    }
    for (let i = 0; i < Number(command.words[0]); i++) {
      const id = this.#members.length + 1
      const isAsync = isOn('async-storage-writes')
      this.#members.push(new ScriptMember({ ...settings, id }, start, isAsync))
    }
    return []
  }

  #proposeChange(command: Command): string[] {
    const named = option(command, 'transition') ?? 'auto'
    const transition = CONFIG_TRANSITIONS.find(name => name === named)
    if (transition === undefined) throw new Error(`no transition ${named}`)
    const payload = encodeConfigChange({ transition, changes: parseChanges(command.input) })
    if (option(command, 'v1') === 'true') firstFormatChanges.add(payload)
    const { group } = this.#member(command.words[0])
    return group.propose([{ kind: CONFIG_KIND, payload }]) ? [] : [DROPPED]
  }

  #sendSnapshot(from: string, to: string): string[] {
    const { group, storage } = this.#member(from)
    const { term } = group.status()
    const snapshot = storage.snapshot()
    const sent = message('snapshot', Number(to), { from: Number(from), term, snapshot })
    this.#network.push(sent)
    return [describeMessage(sent)]
  }

  #each({ words }: Command, title: string, action: (member: ScriptMember) => string[]): string[] {
    if (words.length === 1) return action(this.#member(words[0]))
    return words.flatMap(id => [`> ${id} ${title}`, ...indented(action(this.#member(id)))])
  }

  #processReady(member: ScriptMember): string[] {
    const { lines, sent } = member.processReady()
    this.#network.push(...sent)
    return lines
  }

  #processAppend(member: ScriptMember): string[] {
    const { lines, sent } = member.processAppend()
    this.#network.push(...sent)
    return lines
  }

  #processApply(member: ScriptMember): string[] {
    const { lines, sent } = member.processApply()
    this.#network.push(...sent)
    return lines
  }

  #deliverAll(command: Command): string[] {
    const type = option(command, 'type')
    const kept = numbers(command.words).flatMap(id => this.#deliver(id, false, type))
    const lost = numbers(command.options.get('drop')).flatMap(id => this.#deliver(id, true, type))
    const lines = [...kept, ...lost]
    return lines.length === 0 ? ['no messages'] : lines
  }

  /** Local answers are never dropped: only what a network carries is. */
  #deliver(to: number, isLost: boolean, type?: string): string[] {
    const isMeant = (sent: Message): boolean =>
      sent.to === to &&
      !(isLost && (sent.from === to || sent.from < 0)) &&
      (type === undefined || MESSAGE_NAMES[sent.type] === type)
    const meant = this.#network.filter(isMeant)
    this.#network = this.#network.filter(sent => !isMeant(sent))
    return meant.flatMap(sent => {
      if (isLost) return `dropped: ${describeMessage(sent)}`.split('\n')
      const lines = describeMessage(sent).split('\n')
      const result = this.#member(String(to)).group.step(sent)
      if (result === 'dropped') lines.push(DROPPED)
      if (result === 'unknownMember') lines.push(NO_MEMBER)
      return lines
    })
  }

  /** Until nothing happens: all readies, then all deliveries, then the sides. */
  #stabilize(ids: readonly string[]): string[] {
    const members = ids.length === 0 ? this.#members : ids.map(id => this.#member(id))
    const lines: string[] = []
    const run = (member: ScriptMember, title: string, action: () => string[]): void => {
      lines.push(`> ${member.id} ${title}`, ...indented(action()))
    }
    for (let before = -1; before !== lines.length; ) {
      before = lines.length
      for (const member of members) {
        if (member.group.hasReady()) {
          run(member, 'handling Ready', () => this.#processReady(member))
        }
      }
      for (const member of members) {
        if (this.#network.some(({ to }) => to === member.id)) {
          run(member, 'receiving messages', () => this.#deliver(member.id, false))
        }
      }
      for (const member of members) {
        if (member.appendWork.length > 0) {
          run(member, 'processing append thread', () =>
            untilEmpty(member.appendWork, () => this.#processAppend(member)),
          )
        }
      }
      for (const member of members) {
        if (member.applyWork.length > 0) {
          run(member, 'processing apply thread', () =>
            untilEmpty(member.applyWork, () => this.#processApply(member)),
          )
        }
      }
    }
    return lines
  }
}

function untilEmpty(queue: readonly unknown[], action: () => string[]): string[] {
  const lines: string[] = []
  while (queue.length > 0) lines.push(...action())
  return lines
}

function indented(lines: readonly string[]): string[] {
  return lines.flatMap(line => line.split('\n')).map(line => `  ${line}`)
}

function describeState({ id, group }: ScriptMember): string {
  const { role, term, lead, configuration } = group.status()
  const { voters, votersOutgoing } = configuration
  const isVoter = voters.includes(id) || votersOutgoing.includes(id)
  const kind = isVoter ? 'Voter' : 'Non-Voter'
  return `${id}: ${ROLE_NAMES[role]} (${kind}) Term:${term} Lead:${lead}`
}

function describeLog({ storage }: ScriptMember): string[] {
  const first = storage.firstIndex()
  const last = storage.lastIndex()
  if (last < first) return [`log is empty: first index=${first}, last index=${last}`]
  const entries: readonly Entry[] = storage.entries(first, last + 1, Number.POSITIVE_INFINITY) ?? []
  return entries.map(describeEntry)
}
