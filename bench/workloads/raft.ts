/** The Raft core alone: three members in one thread, no disk, no network, messages as objects. */
import type { Proposal } from '../../src/main/raft/entry.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import type { Round } from '../measure.ts'
import { RaftMembers } from '../raft-members.ts'
import { Random } from '../random.ts'

const PAYLOAD_BYTES = 128
/** Less than an election timeout. */
const TICKS = 5
const SEED = 42

export async function runRaft(context: BenchContext): Promise<void> {
  if (context.wants('raft-commit')) {
    for (const batch of context.isSmall ? [64] : [1, 64, 1024]) await commits(context, batch)
  }
  if (context.wants('raft-tick')) await ticks(context)
}

/** A leader proposes a batch, and the next when all three have applied it. */
async function commits(context: BenchContext, batch: number): Promise<void> {
  const entries = sized(context, 500_000, 2_000)
  const random = new Random(SEED)
  const members = new RaftMembers(below => random.below(below))
  const proposals = Array.from(
    { length: batch },
    (): Proposal => ({ kind: 1, payload: new Uint8Array(PAYLOAD_BYTES) }),
  )
  await context.measure({
    workload: 'raft-commit',
    variant: `3 members, ${batch} a batch`,
    unit: 'entries',
    operationBytes: PAYLOAD_BYTES,
    run: (): Round => {
      const before = members.applied[2]
      const operations = Math.ceil(entries / batch) * batch
      const startedAt = performance.now()
      for (let done = 0; done < operations; done += batch) {
        members.leader.propose(proposals)
        members.settle()
      }
      const elapsedMs = performance.now() - startedAt
      const answers = new Answers()
      answers.expect(members.applied[2] - before, operations)
      return { operations, elapsedMs, answers }
    },
  })
}

/** Many groups with nothing to do: a tick of each, the heartbeats that follow and their answers. */
async function ticks(context: BenchContext): Promise<void> {
  const count = sized(context, 10_000, 100)
  const random = new Random(SEED)
  const all = Array.from({ length: count }, () => new RaftMembers(below => random.below(below)))
  const heartbeats = (): void => {
    for (const members of all) {
      members.leader.tick(0)
      members.settle()
    }
  }
  const waiting = (): void => {
    for (const { groups } of all) {
      groups[1].tick(0)
      if (groups[1].hasReady()) throw new Error('a follower wants something in a quiet group')
    }
  }
  const cases = [
    // To two followers and back.
    { variant: 'leaders, with heartbeats and answers', tick: heartbeats, messages: 4 * count },
    { variant: 'followers that wait', tick: waiting, messages: 0 },
  ]
  for (const { variant, tick, messages } of cases) {
    await context.measure({
      workload: 'raft-tick',
      variant: `${count} groups, ${variant}`,
      unit: 'ticks of a group',
      // Followers that had heard nothing for an election timeout would campaign.
      prepare: heartbeats,
      run: (): Round => {
        const before = sum(all)
        const startedAt = performance.now()
        for (let i = 0; i < TICKS; i++) tick()
        const elapsedMs = performance.now() - startedAt
        const answers = new Answers()
        answers.expect(sum(all) - before, messages * TICKS)
        return { operations: count * TICKS, elapsedMs, answers }
      },
    })
  }
}

function sum(all: readonly RaftMembers[]): number {
  return all.reduce((total, { messages }) => total + messages, 0)
}
