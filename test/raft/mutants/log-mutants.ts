/** Seeded bugs of the log: matching, conflicts, commit index, snapshots. */
import type { Mutant } from './mutant.ts'

export const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'appends behind an entry of another term',
    rule: '5.3',
    file: 'raft-log.ts',
    find: 'if (!this.has(before)) return undefined',
    replacement: 'if (before.index > this.lastIndex) return undefined',
  },
  {
    name: 'a late append shortens the log',
    rule: '5.3',
    file: 'raft-log.ts',
    find: 'const conflict = entries.findIndex(entry => !this.has(entry))',
    replacement: 'const conflict = entries.findIndex(entry => entry.index > this.committed)',
  },
  {
    name: 'entries that conflict with the leader stay',
    rule: '5.3',
    file: 'raft-log.ts',
    find: 'const conflict = entries.findIndex(entry => !this.has(entry))',
    replacement:
      'const conflict = entries.findIndex(entry => this.term(entry.index) === undefined)',
  },
  {
    name: 'replaces committed entries',
    rule: '5.3',
    file: 'follower.ts',
    find: '  if (index < log.committed) {',
    replacement: '  if (false) {',
  },
  {
    name: 'acknowledges its whole log, not what the append agrees with',
    rule: '5.3, figure 2',
    file: 'follower.ts',
    find: "raft.send('appendResponse', from, { index: last })",
    replacement: "raft.send('appendResponse', from, { index: log.lastIndex })",
  },
  {
    name: 'acknowledges its whole log on a late append',
    rule: '5.3, figure 2',
    file: 'follower.ts',
    find: "    raft.send('appendResponse', from, { index: log.committed })",
    replacement: "    raft.send('appendResponse', from, { index: log.lastIndex })",
  },
  {
    name: 'acknowledges its whole log on a snapshot that it does not need',
    rule: '7',
    file: 'follower.ts',
    find: 'isTaken ? raft.log.lastIndex : raft.log.committed',
    replacement: 'raft.log.lastIndex',
  },
  {
    name: 'commits entries behind those that the append agrees with',
    rule: '5.3, figure 2',
    file: 'raft-log.ts',
    find: 'this.commitTo(Math.min(leaderCommit, last))',
    replacement: 'this.commitTo(Math.min(leaderCommit, this.lastIndex))',
  },
  {
    name: 'commits entries that it does not have',
    rule: '5.3, figure 2',
    file: 'raft-log.ts',
    find: 'this.commitTo(Math.min(leaderCommit, last))',
    replacement: 'this.commitTo(leaderCommit)',
  },
  {
    name: 'commits entries of older terms by counting',
    rule: '5.4.2',
    file: 'raft-log.ts',
    find: 'if (index <= this.committed || this.term(index) !== term) return false',
    replacement: 'if (index <= this.committed) return false',
  },
  {
    name: 'half of an even number of acknowledgements commits',
    rule: '5.3',
    file: 'quorum.ts',
    find: 'return sorted[(sorted.length - 1) >> 1]',
    replacement: 'return sorted[sorted.length >> 1]',
  },
  {
    name: 'one acknowledgement commits',
    rule: '5.3',
    file: 'quorum.ts',
    find: 'return sorted[(sorted.length - 1) >> 1]',
    replacement: 'return sorted[sorted.length - 1]',
  },
  {
    name: 'commits in heartbeats what the follower may not have',
    rule: '5.3',
    file: 'replication.ts',
    find: 'const commit = Math.min(progress.match, raft.log.committed)',
    replacement: 'const commit = raft.log.committed',
  },
  {
    name: 'heartbeats carry no commit index',
    rule: '5.3',
    file: 'replication.ts',
    find: "raft.send('heartbeat', id, { commit, round })",
    replacement: "raft.send('heartbeat', id, { commit: 0, round })",
  },
  {
    name: 'takes snapshots older than its commit index',
    rule: '7',
    file: 'follower.ts',
    find: '  if (index <= raft.log.committed) return false\n',
    replacement: '',
  },
  {
    name: 'a snapshot throws away the entries behind it',
    rule: '7, figure 13',
    file: 'follower.ts',
    find: 'if (raft.log.has({ index, term })) {',
    replacement: 'if (false) {',
  },
  {
    name: 'refuses a snapshot whose configuration does not know it',
    rule: '7',
    file: 'follower.ts',
    find: '  if (index <= raft.log.committed) return false\n',
    replacement:
      '  if (index <= raft.log.committed) return false\n' +
      '  const { voters, votersOutgoing, learners } = configuration\n' +
      '  if (![...voters, ...votersOutgoing, ...learners].includes(raft.id)) return false\n',
  },
  {
    name: "a snapshot's configuration is not taken over",
    rule: '7',
    file: 'follower.ts',
    find:
      '  raft.tracker = new Tracker(raft.options)\n  raft.configurationIndex = index\n' +
      '  adoptMembership(raft, restoredMembership(configuration))\n',
    replacement: '  raft.configurationIndex = index\n',
  },
  {
    name: 'a change of configuration that a snapshot has is made again',
    rule: '7',
    file: 'follower.ts',
    find: '  raft.configurationIndex = index\n',
    replacement: '',
  },
]
