/** Runs the benches and prints what they measure: docs/benchmarks.md. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BenchContext } from './bench-context.ts'
import { runCommits } from './commits.ts'
import { runFlush } from './flush.ts'
import { runLookups } from './lookups.ts'
import { type Figure, measure } from './measure.ts'
import { runMemtable } from './memtable.ts'
import { type BenchName, type BenchOptions, parseOptions, USAGE } from './options.ts'
import { figureLine, HEADING, setUpBlock, setUpOf } from './report.ts'

const RUN: Readonly<Record<BenchName, (context: BenchContext) => Promise<void>>> = {
  memtable: runMemtable,
  commits: runCommits,
  lookups: runLookups,
  flush: runFlush,
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function runBenches(options: BenchOptions, folder: string): Promise<void> {
  const { benches, rounds, isSmall, jsonPath } = options
  const setUp = setUpOf(options)
  const figures: Figure[] = []
  say(`${setUpBlock(setUp)}\n${HEADING}`)
  for (const bench of benches) {
    const directory = join(folder, bench)
    await mkdir(directory)
    await RUN[bench]({
      ...{ isSmall, rounds, directory },
      measure: async case_ => {
        const figure = await measure(bench, rounds, case_)
        figures.push(figure)
        say(figureLine(figure))
      },
    })
    await rm(directory, { recursive: true })
  }
  if (jsonPath !== undefined) {
    await writeFile(jsonPath, `${JSON.stringify({ setUp, figures }, null, 2)}\n`)
  }
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) {
    say(USAGE)
    return
  }
  await mkdir(options.directory, { recursive: true })
  const folder = await mkdtemp(join(options.directory, 'waymark-bench-'))
  try {
    await runBenches(options, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  // Open metastores and threads would keep the process alive.
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}
