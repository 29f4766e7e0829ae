/** Commands for what is between members: delivery, loss, doubles, order, cut links. */
import { message } from '../../src/main/raft/message.ts'
import { describeInFull, describeMessage } from './describe.ts'
import { type Command, numberOption, numbers, option } from './script.ts'
import type { Handlers, ScriptCluster } from './script-cluster.ts'
import type { Choice } from './script-network.ts'

export const NETWORK_COMMANDS: Handlers = {
  'deliver-msgs': deliverMessages,
  'send-snapshot': sendSnapshot,
  /** What is under way, in full. */
  network: ({ network }) => {
    return network.underWay.length === 0 ? ['no messages'] : network.underWay.map(describeInFull)
  },
  /** From now on what these send to those is lost on its way; that alone, in one direction. */
  cut: ({ network }, command) => {
    for (const from of idsOf(command, 'from')) {
      for (const to of idsOf(command, 'to')) network.cut(from, to)
    }
    return []
  },
  heal: ({ network }) => {
    network.heal()
    return []
  },
}

function idsOf(command: Command, name: string): number[] {
  const ids = numbers(command.options.get(name))
  if (ids.length === 0) throw new Error(`${command.name} needs ${name}=`)
  return ids
}

function deliverMessages(cluster: ScriptCluster, command: Command): string[] {
  const chosen: Omit<Choice, 'to'> = {
    from: numberOption(command, 'from'),
    type: option(command, 'type'),
    first: numberOption(command, 'first'),
    last: numberOption(command, 'last'),
  }
  const how = {
    isRepeated: option(command, 'dup') === 'true',
    isReversed: option(command, 'order') === 'reversed',
  }
  const kept = numbers(command.words).flatMap(to => cluster.deliver({ ...chosen, to }, how))
  const lost = numbers(command.options.get('drop')).flatMap(to =>
    cluster.deliver({ ...chosen, to, isRemote: true }, { isLost: true }),
  )
  const lines = [...kept, ...lost]
  return lines.length === 0 ? ['no messages'] : lines
}

function sendSnapshot(cluster: ScriptCluster, { words: [from, to] }: Command): string[] {
  const { group, storage } = cluster.member(from)
  const { term } = group.status()
  const snapshot = storage.snapshot()
  const sent = message('snapshot', Number(to), { from: Number(from), term, snapshot })
  cluster.network.send([sent])
  return [describeMessage(sent)]
}
