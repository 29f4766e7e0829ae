/** Seeded bugs of durability: promises that leave early, reports taken wrongly, lost at restart. */
import type { Mutant } from './mutant.ts'

export const DURABILITY_MUTANTS: readonly Mutant[] = [
  {
    name: 'acknowledges appends before they are durable',
    rule: '5.3, figure 2',
    file: 'raft.ts',
    find: "type === 'appendResponse' || type === 'voteResponse' || type === 'preVoteResponse'",
    replacement:
      "(type === 'appendResponse' && to === this.id) || " +
      "type === 'voteResponse' || type === 'preVoteResponse'",
  },
  {
    name: 'votes before the vote is durable',
    rule: '5.2, figure 2',
    file: 'raft.ts',
    find: "type === 'appendResponse' || type === 'voteResponse' || type === 'preVoteResponse'",
    replacement:
      "type === 'appendResponse' || " +
      "(type === 'voteResponse' && to === this.id) || type === 'preVoteResponse'",
  },
  {
    name: 'a leader counts itself before its own disk has the entries',
    rule: 'dissertation 10.2.1',
    file: 'replication.ts',
    find: '  raft.log.append(entries)\n',
    replacement:
      '  raft.log.append(entries)\n  raft.progressOf(raft.id)?.acknowledge(raft.log.lastIndex)\n',
  },
  {
    name: 'a candidate counts its own vote before it is durable',
    rule: '5.2, figure 2',
    file: 'election.ts',
    find: '    if (voter === raft.id) {\n',
    replacement: '    if (voter === raft.id) {\n      raft.tracker.recordVote(voter, true)\n',
  },
  {
    name: 'a vote need not survive a crash',
    rule: '5.2, figure 2',
    file: 'ready.ts',
    find: ' ||\n      raft.vote !== this.#hard.vote\n',
    replacement: '\n',
  },
  {
    name: 'a term need not survive a crash',
    rule: '5.1, figure 2',
    file: 'ready.ts',
    find: '      raft.term !== this.#hard.term ||\n',
    replacement: '',
  },
  {
    name: 'entries need not survive a crash',
    rule: '5.3, figure 2',
    file: 'ready.ts',
    find: '      entries.length > 0 ||\n',
    replacement: '',
  },
  {
    name: 'a snapshot need not survive a crash',
    rule: '7',
    file: 'ready.ts',
    find: '      snapshot !== undefined ||\n',
    replacement: '',
  },
  {
    name: 'its vote is lost at a restart',
    rule: '5.2, figure 2',
    file: 'raft.ts',
    find: '    this.term = term\n    this.vote = vote\n',
    replacement: '    this.term = term\n    this.vote = NOBODY\n',
  },
  {
    name: 'its term is lost at a restart',
    rule: '5.1, figure 2',
    file: 'raft.ts',
    find: '    this.term = term\n    this.vote = vote\n',
    replacement: '    this.vote = vote\n',
  },
  {
    name: 'what is applied is applied again after a restart',
    rule: '5.3, figure 2',
    file: 'raft.ts',
    find: '    if (options.applied > 0) this.log.appliedTo(options.applied, 0)\n',
    replacement: '',
  },
  {
    name: 'a restart trusts a commit index older than what is applied',
    rule: 'docs/raft.md, storage',
    file: 'raft.ts',
    find: 'this.log.commitTo(Math.max(commit, this.options.applied))',
    replacement: 'this.log.commitTo(commit)',
  },
  {
    name: 'a restart knows of no commit but what it has kept',
    rule: 'docs/raft.md, storage',
    file: 'implied-commit.ts',
    find: '  return before\n',
    replacement: '  return 0\n',
  },
  {
    name: 'a restart takes the last change of configuration in the log for committed',
    rule: 'docs/raft.md, storage',
    file: 'implied-commit.ts',
    find: '  return before\n',
    replacement: '  return last\n',
  },
  {
    name: 'takes reports of the append side of older terms',
    rule: 'docs/raft.md, invariant 4',
    file: 'step.ts',
    find: "if (term < raft.term && type !== 'readIndex') handleOld",
    replacement: "if (term < raft.term && type !== 'readIndex' && type !== 'appended') handleOld",
  },
  {
    name: 'takes reports of entries that were replaced meanwhile',
    rule: 'docs/raft.md, invariant 4',
    file: 'unstable-log.ts',
    find: 'if (index < this.offset || this.term(index) !== term) return',
    replacement: 'if (index < this.offset || this.term(index) === undefined) return',
  },
  {
    name: 'takes a report for the whole log, not only for what was written',
    rule: 'docs/raft.md, driving it',
    file: 'step.ts',
    find: 'if (index > 0) raft.log.unstable.written({ index, term: logTerm })',
    replacement: 'if (index > 0) raft.log.unstable.written(raft.log.lastMark)',
  },
  {
    name: 'does not write entries that take the place of written ones',
    rule: '5.3',
    file: 'unstable-log.ts',
    find: '      this.#handedOut = Math.min(this.#handedOut, from)\n',
    replacement: '',
  },
  {
    name: 'hands entries out to be written again and again',
    rule: 'docs/raft.md, driving it',
    file: 'ready.ts',
    find: '    unstable.handOut()\n',
    replacement: '',
  },
  {
    name: 'applies entries before its own disk has them',
    rule: 'dissertation 10.2.1',
    file: 'raft-log.ts',
    find: 'return Math.min(this.committed, this.unstable.offset - 1)',
    replacement: 'return this.committed',
  },
  {
    name: 'asks for turns in vain while a snapshot is being installed',
    rule: '7',
    file: 'raft-log.ts',
    find: 'if (this.#isApplyingPaused || this.unstable.snapshot !== undefined) return false',
    replacement: 'if (this.#isApplyingPaused) return false',
  },
]
