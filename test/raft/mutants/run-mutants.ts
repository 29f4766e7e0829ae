/**
 * npm run test:mutants: runs every suite on every mutant and says which suite kills which.
 *   --write       writes docs/raft-mutants.md
 *   --only words  only mutants with these words in their names
 */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Mutant } from './mutant.ts'
import { mutantPage, survivors } from './mutant-table.ts'
import { CHAPTERS } from './mutants.ts'
import { type Suite, suitesIn } from './suites.ts'
import { type Ending, Workshop } from './workshop.ts'

const PROCESSES_MAX = 2
/** A program may take this long, and this many times as long as on the unchanged core. */
const LIMIT_MS = 20_000
const LIMIT_FACTOR = 5

function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** At most PROCESSES_MAX at a time; results in the order of the items. */
async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const rest = items.entries()
  const one = async (): Promise<void> => {
    for (const [i, item] of rest) results[i] = await work(item)
  }
  await Promise.all(Array.from({ length: PROCESSES_MAX }, one))
  return results
}

/** How long each suite may take. @throws Error when one fails on the unchanged core */
async function limits(workshop: Workshop, suites: readonly Suite[]): Promise<Map<Suite, number>> {
  const limitOf = new Map<Suite, number>()
  await each(suites, async suite => {
    const start = performance.now()
    const ending = await workshop.run(suite, 600_000)
    if (ending !== 'passed') throw new Error(`${suite.name} ${ending} on the unchanged core`)
    limitOf.set(suite, LIMIT_MS + LIMIT_FACTOR * (performance.now() - start))
  })
  return limitOf
}

async function runMutants(root: string, workshop: Workshop): Promise<void> {
  const { values } = parseArgs({
    options: { write: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
  })
  const mutants = CHAPTERS.flatMap(chapter => chapter.mutants).filter(({ name }) =>
    name.includes(values.only),
  )
  await workshop.open()
  const suites = suitesIn(root, workshop.folder)
  await workshop.compile()
  const limitOf = await limits(workshop, suites)
  say(`${mutants.length} mutants; suites: ${suites.map(({ name }) => name).join(', ')}`)
  const endings = new Map<Mutant, Ending[]>()
  for (const mutant of mutants) {
    const all = await workshop.with(mutant, () =>
      each(suites, suite => workshop.run(suite, limitOf.get(suite) ?? LIMIT_MS)),
    )
    endings.set(mutant, all)
    const by = suites.flatMap(({ name }, i) =>
      all[i] === 'passed' ? [] : [all[i] === 'late' ? `${name} (late)` : name],
    )
    say(`${by.length === 0 ? 'SURVIVES' : 'killed'}  ${mutant.name}: ${by.join(', ') || 'by none'}`)
  }
  if (values.write && values.only === '') {
    const page = join(root, 'docs/raft-mutants.md')
    await writeFile(page, mutantPage(CHAPTERS, suites, endings))
  }
  const alive = survivors(endings)
  say(`${endings.size - alive.length} killed, ${alive.length} survive`)
  for (const { name } of alive) say(`survives: ${name}`)
  process.exitCode = alive.length > 0 ? 1 : 0
}

const root = projectRoot(import.meta.dirname)
const workshop = new Workshop(root)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    workshop.abandon()
    process.exit(1)
  })
}
try {
  await runMutants(root, workshop)
} finally {
  await workshop.close()
}
