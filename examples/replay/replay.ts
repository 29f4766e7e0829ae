/**
 * Replays a trace of commits, checks every answer, crashes and recovers, restores from the bucket,
 * and prints what it all took. Exits with 0 only when every answer was right.
 */
import { runCrash } from './crash-run.ts'
import { runMain } from './main-run.ts'
import { Mismatches } from './mismatches.ts'
import { parseOptions, type ReplayOptions, USAGE } from './options.ts'
import { resultBlock, setUpBlock } from './report.ts'
import type { RunContext } from './run-context.ts'
import { readAnswers, readTrace } from './trace.ts'
import { Workspace } from './workspace.ts'

function contextOf(options: ReplayOptions): RunContext {
  const { traceFolder, operationsMax, directory, isKept } = options
  return {
    options,
    trace: readTrace(traceFolder, operationsMax),
    answers: readAnswers(traceFolder),
    isWhole: operationsMax === undefined,
    workspace: new Workspace(directory, isKept),
    mismatches: new Mismatches(),
    say: line => process.stdout.write(`  ${line}\n`),
  }
}

/** Resolves with the exit code. */
async function run(options: ReplayOptions): Promise<number> {
  const context = contextOf(options)
  process.stdout.write(`${setUpBlock(context)}\nrun 1: replay, reopen, restore\n`)
  const figures = await runMain(context)
  process.stdout.write('\nrun 2: crash\n')
  const recoveryMs = await runCrash(context)
  process.stdout.write(`\n${resultBlock(context, figures, recoveryMs)}\n`)
  const { mismatches } = context
  if (mismatches.count === 0) {
    process.stdout.write('all answers right\n')
    return 0
  }
  process.stdout.write(`${mismatches.count} wrong answers\n${mismatches.lines().join('\n')}\n`)
  return 1
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options !== undefined) return run(options)
  process.stdout.write(USAGE)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  // Open metastores would keep the process alive.
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}
