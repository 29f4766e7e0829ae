/**
 * Goal: the core answers every script of the reference as the reference did, and the harness sees
 * when it does not.
 * Method: runs the scripts that lie beside the project, if they do; made-up scripts with one wrong
 * answer each must fail at its line.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { temporaryDirectory } from '../temporary-directory.ts'
import { describeFailure, runScript, scriptsIn } from './run-script.ts'

function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}

const reference = join(projectRoot(import.meta.dirname), '../shared/raft-conformance')

for (const folder of ['quorum', 'confchange', 'interaction', 'generated']) {
  test(`the reference's scripts of ${folder}/ give the recorded answers`, t => {
    const path = join(reference, folder)
    if (!existsSync(path)) return t.skip(`${path} is not there`)
    const files = scriptsIn(path)
    assert.notEqual(files.length, 0)
    const failures = files.flatMap(file => {
      const failure = runScript(file)
      return failure === undefined ? [] : [describeFailure(file, failure)]
    })
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
