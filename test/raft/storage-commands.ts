/** Commands for members' disks: the work of their sides, logs, snapshots, crashes and restarts. */
import { describeEntry } from './describe.ts'
import { numberOption } from './script.ts'
import { type Handlers, indented } from './script-cluster.ts'
import type { ScriptMember } from './script-member.ts'
import { isLocal } from './script-network.ts'

export const STORAGE_COMMANDS: Handlers = {
  'process-ready': (cluster, command) =>
    cluster.each(command, 'handling Ready', member => cluster.send(member.processReady())),
  'process-append-thread': (cluster, command) =>
    cluster.each(command, 'processing append thread', member =>
      cluster.send(member.processAppend()),
    ),
  'process-apply-thread': (cluster, command) =>
    cluster.each(command, 'processing apply thread', member => cluster.send(member.processApply())),
  'raft-log': (cluster, { words: [at] }) => describeLog(cluster.memberOrDown(at)),
  compact: (cluster, { words: [at, index] }) => {
    const member = cluster.member(at)
    member.storage.compact(Number(index))
    return describeLog(member)
  },
  /** Whether the member has a snapshot to send. */
  'offer-snapshots': (cluster, { words: [at, what] }) => {
    cluster.member(at).storage.hasSnapshot = what !== 'off'
    return []
  },
  /** The answers of its own sides go with it; what it has sent to others is under way. */
  crash: (cluster, command) =>
    cluster.each(command, 'crashing', member => {
      const answers = cluster.network.take({ to: member.id }).filter(sent => !isLocal(sent))
      cluster.network.send(answers)
      return member.crash()
    }),
  restart: (cluster, command) => {
    const applied = numberOption(command, 'applied')
    const lines = command.words.map(id => [id, cluster.memberOrDown(id).restart(applied)] as const)
    if (lines.length === 1) return lines[0][1]
    return lines.flatMap(([id, text]) => [`> ${id} restarting`, ...indented(text)])
  },
}

function describeLog({ storage }: ScriptMember): string[] {
  const entries = storage.all()
  if (entries.length > 0) return entries.map(describeEntry)
  return [`log is empty: first index=${storage.firstIndex()}, last index=${storage.lastIndex()}`]
}
