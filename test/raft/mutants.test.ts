/**
 * Goal: the mutants of `npm run test:mutants` (mutants/) do not rot while the core changes, and its
 * page says what was found.
 * Method: finds the place of each in the sources; makes a page from made-up results.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { type Mutant, mutated } from './mutants/mutant.ts'
import { mutantPage, survivors } from './mutants/mutant-table.ts'
import { CHAPTERS } from './mutants/mutants.ts'
import type { Ending } from './mutants/workshop.ts'

const mutants = CHAPTERS.flatMap(chapter => chapter.mutants)

function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}

test('each mutant changes the core at exactly one place and has a name of its own', () => {
  const core = join(projectRoot(import.meta.dirname), 'src/main/raft')
  for (const mutant of mutants) {
    const text = readFileSync(join(core, mutant.file), 'utf8')
    assert.notEqual(mutated(text, mutant), text, mutant.name)
  }
  assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length)
})

const made = (name: string, find: string): Mutant => {
  return { name, rule: '5.2', file: 'raft.ts', find, replacement: 'c' }
}

test('a mutant whose place is missing or not the only one is refused by name', () => {
  assert.equal(mutated('ab', made('one', 'a')), 'cb')
  assert.throws(() => mutated('aa', made('two', 'a')), /'two': found 2 times in raft\.ts/)
  assert.throws(() => mutated('bb', made('none', 'a')), /'none': found 0 times/)
})

test('the page says who kills whom, and only who is killed by nobody survives', () => {
  const [killed, late, alive] = ['first', 'second', 'third'].map(name => made(name, 'a'))
  const endings = new Map<Mutant, Ending[]>([
    [killed, ['failed', 'failed']],
    [late, ['passed', 'late']],
    [alive, ['passed', 'passed']],
  ])
  const suite = { programs: [], environment: {} }
  const suites = [
    { ...suite, name: 'unit', what: 'directed' },
    { ...suite, name: 'random', what: 'seeds' },
  ]
  const page = mutantPage([{ title: 'All', mutants: [killed, late, alive] }], suites, endings)
  assert.ok(page.includes('| unit | directed | 1 | 0 |\n| random | seeds | 2 | 1 |\n'))
  assert.ok(page.includes('| first | 5.2 | killed | killed |\n| second | 5.2 |  | late |\n'))
  assert.deepEqual(survivors(endings), [alive])
})
