/** The second run: a process is killed in the middle of a replay; nothing acknowledged is gone. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Metastore } from '../../src/index.ts'
import { checkAnswers } from './answers.ts'
import type { CrashTask } from './crash-messages.ts'
import { type Acknowledged, runDoomedChild } from './doomed-child.ts'
import { timed } from './latency.ts'
import { Progress } from './progress.ts'
import { replay } from './replaying.ts'
import type { RunContext } from './run-context.ts'
import { checkEffects, repeatAdds, repeatUnknown, type Survival } from './survival.ts'
import { count, milliseconds } from './text.ts'
import { metastoreOptions } from './workspace.ts'

/** The kill comes somewhere between these parts of the trace. */
const KILL_FRACTION_MIN = 0.3
const KILL_FRACTION_MAX = 0.7

/** Resolves with the milliseconds that opening the crashed metastore took. */
export async function runCrash(context: RunContext): Promise<number> {
  const { options, trace, workspace, mismatches, say } = context
  const { operations } = trace
  const { inFlight } = options
  const folder = join(workspace.path, 'crash')
  const { ids, indexes } = await crash(context, folder)
  const acknowledged = [...indexes].sort((a, b) => a - b)
  // What was called and not yet reported is never more than what may be in flight.
  const calledEnd = Math.min(operations.length, acknowledged.length + inFlight)
  const unknown = calledEnd - acknowledged.length
  say(`killed: ${count(acknowledged.length)} acknowledged, up to ${unknown} more in flight`)

  const recovery = await timed(() => Metastore.open(metastoreOptions(folder, options)))
  const { result: metastore, elapsedMs } = recovery
  say(`recovered in ${milliseconds(elapsedMs)}`)
  const crashed = { metastore, ids, operations, acknowledged, calledEnd, inFlight, mismatches }
  await proveSurvival(context, crashed)
  await metastore.close()
  return elapsedMs
}

async function crash(
  { options, trace, workspace, mismatches, say }: RunContext,
  folder: string,
): Promise<Acknowledged> {
  const { traceFolder, inFlight, workers, store, operationsMax, seed } = options
  const task: CrashTask = {
    traceFolder,
    folder,
    inFlight,
    ...(workers !== undefined && { workers }),
    ...(store !== undefined && { store }),
    ...(operationsMax !== undefined && { operationsMax }),
  }
  const fraction = KILL_FRACTION_MIN + (KILL_FRACTION_MAX - KILL_FRACTION_MIN) * chance(seed)
  const killAfter = Math.max(1, Math.floor(trace.operations.length * fraction))
  say(`a child process replays, to be killed after ${count(killAfter)} operations (seed ${seed})`)
  const progress = new Progress('child', killAfter, options.isQuiet)
  const reached = await runDoomedChild(task, killAfter, workspace, mismatches, by =>
    progress.advance(by),
  )
  progress.end()
  return reached
}

/** Looks before it repeats, since repeating an add could bring back what had been lost. */
async function proveSurvival(context: RunContext, survival: Survival): Promise<void> {
  const { isWhole, answers, options, say } = context
  const { metastore, ids, operations, calledEnd, mismatches } = survival
  const before = mismatches.count
  await checkEffects(survival)
  await repeatAdds(survival)
  say(`what was acknowledged: ${mismatches.count === before ? 'all there' : 'NOT all there'}`)
  await repeatUnknown(survival)
  const progress = new Progress('rest', operations.length - calledEnd, options.isQuiet)
  await replay({ ...survival, part: 'after the crash' }, calledEnd, () => progress.advance())
  progress.end()
  say(`the other ${count(operations.length - calledEnd)} operations replayed`)
  if (!isWhole) return
  const beforeAnswers = mismatches.count
  await checkAnswers(metastore, ids, answers, mismatches, 'after the crash')
  say(`answers after the crash: ${mismatches.count === beforeAnswers ? 'right' : 'WRONG'}`)
}

/** 0 to 1, decided by the seed. */
function chance(seed: number): number {
  return createHash('sha256').update(String(seed)).digest().readUInt32BE() / 2 ** 32
}
