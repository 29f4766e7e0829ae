/**
 * Goal: the core answers every script of the reference as the reference did, and every script of the
 * project as was reviewed; the harness sees when it does not, and rewrites no answers but where and
 * when it shall.
 * Method: runs the project's scripts, and those that lie beside it, if they do; made-up scripts with
 * one wrong answer each must fail at its line; recording is tried in a folder of its own.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { temporaryDirectory } from '../temporary-directory.ts'
import { recordScripts } from './record-scripts.ts'
import { describeFailure, ownTranscripts, projectRoot, runScript, scriptsIn } from './run-script.ts'

const reference = join(projectRoot, '../shared/raft-conformance')

function failuresIn(path: string): string[] {
  const files = scriptsIn(path)
  assert.notEqual(files.length, 0)
  return files.flatMap(file => {
    const failure = runScript(file)
    return failure === undefined ? [] : [describeFailure(file, failure)]
  })
}

for (const folder of readdirSync(ownTranscripts)) {
  test(`the project's scripts of ${folder}/ give the recorded answers`, () => {
    const failures = failuresIn(join(ownTranscripts, folder))
    assert.equal(failures.length, 0, `\n${failures.join('\n')}`)
  })
}

test("the project's scripts each say first which rule they show, and of which section", () => {
  for (const file of scriptsIn(ownTranscripts)) {
    const [head] = readFileSync(file, 'utf8').split('\n\n')
    assert.ok(
      head.split('\n').every(line => line.startsWith('# ')),
      file,
    )
    assert.match(head, /\((paper|dissertation|docs\/raft\.md), /, file)
  }
})

for (const folder of ['quorum', 'confchange', 'interaction', 'generated']) {
  test(`the reference's scripts of ${folder}/ give the recorded answers`, t => {
    const path = join(reference, folder)
    if (!existsSync(path)) return t.skip(`${path} is not there`)
    const failures = failuresIn(path)
    assert.equal(failures.length, 0, `\n${failures.join('\n')}`)
  })
}

const WRONG: readonly (readonly [string, number, string])[] = [
  ['a vote', 1, 'vote cfg=(1,2) votes=(y,_)\n----\nVoteWon\n'],
  ['a configuration', 1, 'simple\nv1\n----\nvoters=(2)\n1: StateProbe match=0 next=1\n'],
  ['a missing line', 1, 'simple\nv1\n----\nvoters=(1)\n'],
  ['an unknown command', 1, 'dance 1\n----\nok\n'],
  [
    'a term',
    9,
    'add-nodes 1 voters=(1) index=2\n----\nok\n\ncampaign 1\n----\nok\n\n' +
      'raft-state\n----\n1: StateCandidate (Voter) Term:2 Lead:0\n',
  ],
  ['no commands', 1, '# nothing\n'],
  ['no answer', 1, 'raft-state\n'],
]

for (const [what, line, text] of WRONG) {
  test(`a script fails at its wrong line: ${what}`, async t => {
    const folder = await temporaryDirectory()
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'script.txt')
    await writeFile(file, text)
    assert.equal(runScript(file)?.line, line)
  })
}

const WRONG_TERM =
  '# Kept.\n\nadd-nodes 1 voters=(1) index=2\n----\nok\n\n' +
  'raft-state\n----\n1: StateFollower (Voter) Term:7 Lead:0\nand more\n\n# The end.\n'

test('recording rewrites wrong answers and nothing else, and names the files', async t => {
  const home = await temporaryDirectory()
  t.after(() => rm(home, { recursive: true }))
  const [wrong, right] = [join(home, 'wrong.txt'), join(home, 'right.txt')]
  await writeFile(wrong, WRONG_TERM)
  const fine = 'add-nodes 1 voters=(1)\n----\nok\n\n\nlog-level none\n----\nok (quiet)\n'
  await writeFile(right, fine)
  assert.deepEqual(recordScripts(home, home), [wrong])
  assert.equal(await readFile(right, 'utf8'), fine)
  const corrected = WRONG_TERM.replace('Term:7', 'Term:0').replace('and more\n', '')
  assert.equal(await readFile(wrong, 'utf8'), corrected)
  assert.deepEqual(recordScripts(home, home), [])
})

test('recording refuses what lies elsewhere, be it by a link, and commands that fail', async t => {
  const folder = await temporaryDirectory()
  t.after(() => rm(folder, { recursive: true }))
  const home = join(folder, 'home')
  await mkdir(home)
  const elsewhere = join(folder, 'elsewhere.txt')
  await writeFile(elsewhere, WRONG_TERM)
  assert.throws(() => recordScripts(elsewhere, home), /not below/)
  await symlink(elsewhere, join(home, 'link.txt'))
  assert.throws(() => recordScripts(home, home), /not below/)
  assert.equal(await readFile(elsewhere, 'utf8'), WRONG_TERM)
  await rm(join(home, 'link.txt'))
  const failing = join(home, 'failing.txt')
  const text = `${WRONG_TERM}\ncampaign 2\n----\nok\n`
  await writeFile(failing, text)
  assert.throws(() => recordScripts(home, home), /failing\.txt:14: campaign fails/)
  assert.equal(await readFile(failing, 'utf8'), text)
})

test('no answer is accepted, whatever it says, that breaks safety', async t => {
  const folder = await temporaryDirectory()
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'script.txt')
  // Two clusters that do not know of each other: both elect a leader of term 1.
  const alone = (id: number): string =>
    `add-nodes 1 voters=(${id}) index=2\n----\nok\n\ncampaign ${id}\n----\nok\n\n` +
    `process-ready ${id} log-level=none\n----\nok\n\n`
  await writeFile(file, alone(1) + alone(2))
  const failure = runScript(file)
  assert.equal(failure?.line, 21)
  assert.match(failure.actual, /unsafe: 1 and 2 are leaders of term 1/)
})
