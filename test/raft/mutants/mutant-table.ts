/** The page docs/raft-mutants.md: which suite kills which mutant. */
import type { Mutant } from './mutant.ts'
import type { Chapter } from './mutants.ts'
import type { Suite } from './suites.ts'
import type { Ending } from './workshop.ts'

/** How each suite ended with the mutant, in the order of the suites. */
export type Endings = ReadonlyMap<Mutant, readonly Ending[]>

const CELLS: Readonly<Record<Ending, string>> = { passed: '', failed: 'killed', late: 'late' }

/** Those that no suite tells from the core. */
export function survivors(endings: Endings): Mutant[] {
  return [...endings].flatMap(([mutant, all]) =>
    all.every(ending => ending === 'passed') ? [mutant] : [],
  )
}

export function mutantPage(
  chapters: readonly Chapter[],
  suites: readonly Suite[],
  endings: Endings,
): string {
  const kills = suites.map(
    (_, i) => [...endings.values()].filter(all => all[i] !== 'passed').length,
  )
  const alone = suites.map((_, i) => [...endings.values()].filter(all => isAlone(all, i)).length)
  const rows = chapters.map(
    ({ title, mutants }) =>
      `## ${title}\n\n${table(
        ['mutant', 'rule', ...suites.map(({ name }) => name)],
        mutants.map(mutant => {
          const cells = (endings.get(mutant) ?? []).map(ending => CELLS[ending])
          return [mutant.name, mutant.rule, ...cells]
        }),
      )}`,
  )
  const summary = table(
    ['suite', 'what', 'kills', 'which no other kills'],
    suites.map(({ name, what }, i) => [name, what, String(kills[i]), String(alone[i])]),
  )
  return [INTRODUCTION, `${endings.size} mutants:`, summary, ...rows].join('\n\n').concat('\n')
}

const INTRODUCTION = `# Mutants of the core of Raft

A mutant is the core with one seeded bug. \`npm run test:mutants\` makes them one at a time, in a copy,
and runs every suite on each. A suite kills a mutant when it fails on it; it is *late* when it does
not end in time. A mutant that survives all suites fails the command; so does one whose place in the
sources is not found exactly once. This page is what \`npm run test:mutants -- --write\` found last;
\`-- --only words\` tries only mutants with these words in their names. The seeded bugs are in
\`test/raft/mutants\`.

Numbers of sections are of the paper and, where said, of the dissertation ([raft.md](raft.md)). That
a configuration is in force when its entry is applied, not when it is appended, is the order of the
caller's calls (\`applyChange\`), so there is no mutant of it.`

function isAlone(all: readonly Ending[], suite: number): boolean {
  return all.every((ending, i) => (ending === 'passed') === (i !== suite))
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
