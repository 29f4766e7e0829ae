/** The first run: replay, flush, reopen, and restore from the bucket alone. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Metastore } from '../../src/index.ts'
import { checkAnswers } from './answers.ts'
import { Latencies, timed } from './latency.ts'
import { type LookupFigures, measureLookups } from './lookups.ts'
import { ObjectIds } from './object-ids.ts'
import { Progress } from './progress.ts'
import { replay } from './replaying.ts'
import type { RunContext } from './run-context.ts'
import { count, milliseconds } from './text.ts'
import { metastoreOptions } from './workspace.ts'

export interface MainFigures {
  replayMs: number
  commits: Latencies
  lookups: LookupFigures | undefined
  flushedBytes: number
  reopenMs: number
  restoreMs: number
}

export async function runMain(context: RunContext): Promise<MainFigures> {
  const { options, trace, answers, workspace, say } = context
  const opening = metastoreOptions(join(workspace.path, 'main'), options)
  const first = await Metastore.open({ ...opening, partitions: trace.header.partitions })
  const ids = await ObjectIds.preregister(first, trace.operations)
  say(`${count(ids.size)} object ids preregistered`)
  const { replayMs, commits } = await replayAll(context, first, ids)
  await check(context, first, ids, 'before the flush')
  await first.flush()
  const flushedBytes = await tableBytes(first)
  await check(context, first, ids, 'after the flush')
  await first.close()

  const reopened = await timed(() => Metastore.open(opening))
  say(`reopened in ${milliseconds(reopened.elapsedMs)}`)
  await check(context, reopened.result, ids, 'after the reopening')
  const lookups = await measureLookups(reopened.result, answers.queries)
  await reopened.result.flush()
  await reopened.result.close()

  await rm(opening.dataDir, { recursive: true })
  const { clusterId } = first
  const restored = await timed(() => Metastore.restore({ ...opening, from: { clusterId } }))
  say(`restored from the bucket in ${milliseconds(restored.elapsedMs)}`)
  await check(context, restored.result, ids, 'after the restore')
  await restored.result.close()
  const [reopenMs, restoreMs] = [reopened.elapsedMs, restored.elapsedMs]
  return { replayMs, commits, lookups, flushedBytes, reopenMs, restoreMs }
}

async function replayAll(
  { options, trace: { operations }, mismatches, say }: RunContext,
  metastore: Metastore,
  ids: ObjectIds,
): Promise<{ replayMs: number; commits: Latencies }> {
  const commits = new Latencies()
  const progress = new Progress('replay', operations.length, options.isQuiet)
  const { inFlight } = options
  const part = 'replay'
  const { elapsedMs } = await timed(() =>
    replay({ metastore, ids, operations, inFlight, mismatches, part }, 0, answerMs => {
      commits.record(answerMs)
      progress.advance()
    }),
  )
  progress.end()
  say(`${count(operations.length)} operations replayed in ${milliseconds(elapsedMs)}`)
  return { replayMs: elapsedMs, commits }
}

async function check(
  { isWhole, answers, mismatches, say }: RunContext,
  metastore: Metastore,
  ids: ObjectIds,
  when: string,
): Promise<void> {
  if (!isWhole) return
  const before = mismatches.count
  await checkAnswers(metastore, ids, answers, mismatches, when)
  say(`answers ${when}: ${mismatches.count === before ? 'right' : 'WRONG'}`)
}

async function tableBytes(metastore: Metastore): Promise<number> {
  const { partitions } = await metastore.status()
  const levels = partitions.flatMap(partition => partition.levels)
  return levels.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
}
