/** Clusters in scripts: which commands there are, what they print, and running to a fixed point. */
import { addNodes } from './add-nodes.ts'
import { describeProgress, ROLE_NAMES } from './describe.ts'
import { MEMBER_COMMANDS } from './member-commands.ts'
import { NETWORK_COMMANDS } from './network-commands.ts'
import { type Command, option } from './script.ts'
import { type Handlers, indented, ScriptCluster } from './script-cluster.ts'
import type { ScriptMember } from './script-member.ts'
import { STORAGE_COMMANDS } from './storage-commands.ts'

const HANDLERS: Handlers = {
  ...MEMBER_COMMANDS,
  ...NETWORK_COMMANDS,
  ...STORAGE_COMMANDS,
  'add-nodes': addNodes,
  'raft-state': ({ members }) => members.map(describeState),
  /** How far the members are: on disk, by the commit index, and applied. */
  'raft-indexes': ({ members }) => members.map(describeIndexes),
  status: (cluster, { words: [at] }) =>
    describeProgress(cluster.member(at).group.status().progress),
  stabilize,
}

export class ClusterCommands {
  readonly #cluster = new ScriptCluster()
  #isQuiet = false

  /** @returns what the command prints, or undefined if there is no such command */
  run(command: Command): string | undefined {
    if (command.name === 'log-level') {
      this.#isQuiet = command.words[0] === 'none'
      return 'ok'
    }
    if (!Object.hasOwn(HANDLERS, command.name)) return undefined
    const lines = HANDLERS[command.name](this.#cluster, command)
    this.#cluster.safety.check(this.#cluster.members)
    const isQuiet = this.#isQuiet || option(command, 'log-level') === 'none'
    return isQuiet || lines.length === 0 ? 'ok' : lines.join('\n')
  }
}

/** Until nothing happens: all readies, then all deliveries, then the sides. */
function stabilize(cluster: ScriptCluster, { words }: Command): string[] {
  const running = cluster.members.filter(({ isDown }) => !isDown)
  const members = words.length === 0 ? running : words.map(id => cluster.member(id))
  const lines: string[] = []
  const run = (member: ScriptMember, title: string, action: () => string[]): void => {
    lines.push(`> ${member.id} ${title}`, ...indented(action()))
  }
  for (let before = -1; before !== lines.length; ) {
    before = lines.length
    for (const member of members) {
      if (member.group.hasReady()) {
        run(member, 'handling Ready', () => cluster.send(member.processReady()))
      }
    }
    for (const member of members) {
      if (cluster.network.hasFor(member.id)) {
        run(member, 'receiving messages', () => cluster.deliver({ to: member.id }))
      }
    }
    for (const member of members) {
      if (member.appendWork.length > 0) {
        run(member, 'processing append thread', () =>
          untilEmpty(member.appendWork, () => cluster.send(member.processAppend())),
        )
      }
    }
    for (const member of members) {
      if (member.applyWork.length > 0) {
        run(member, 'processing apply thread', () =>
          untilEmpty(member.applyWork, () => cluster.send(member.processApply())),
        )
      }
    }
  }
  return lines
}

function untilEmpty(queue: readonly unknown[], action: () => string[]): string[] {
  const lines: string[] = []
  while (queue.length > 0) lines.push(...action())
  return lines
}

function describeState({ id, group, isDown }: ScriptMember): string {
  if (isDown) return `${id}: down`
  const { role, term, lead, configuration } = group.status()
  const { voters, votersOutgoing } = configuration
  const isVoter = voters.includes(id) || votersOutgoing.includes(id)
  const kind = isVoter ? 'Voter' : 'Non-Voter'
  return `${id}: ${ROLE_NAMES[role]} (${kind}) Term:${term} Lead:${lead}`
}

function describeIndexes({ id, group, isDown, storage }: ScriptMember): string {
  if (isDown) return `${id}: down`
  const { commit, applied } = group.status()
  return `${id}: last=${storage.lastIndex()} commit=${commit} applied=${applied}`
}
