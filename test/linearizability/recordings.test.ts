/**
 * Goal: the checker agrees with what is known of histories recorded by others. Method: 102 runs of
 * Jepsen against etcd and 6 of a key-value store, with their verdicts, from the test data of
 * porcupine; they lie beside the project, and the test is skipped where they do not.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkLinearizability } from './checker.ts'
import { keyValue } from './key-value.ts'
import { keyValueRecording, registerRecording } from './recordings.ts'
import { register } from './register.ts'

const FOLDER = '../shared/linearizability'
const skip = existsSync(FOLDER) ? false : `${FOLDER} is absent`

function verdictOf(file: string): string {
  const text = readFileSync(`${FOLDER}/${file}`, 'utf8')
  const result = file.startsWith('kv/')
    ? checkLinearizability(keyValue, keyValueRecording(text))
    : checkLinearizability(register, registerRecording(text))
  return result.verdict
}

for (const [folder, count] of [
  ['register', 102],
  ['kv', 6],
] as const) {
  test(`every recorded ${folder} history gets its recorded verdict`, { skip }, () => {
    const verdicts: Record<string, boolean> = JSON.parse(
      readFileSync(`${FOLDER}/verdicts.json`, 'utf8'),
    )
    const files = readdirSync(`${FOLDER}/${folder}`).map(name => `${folder}/${name}`)
    // One recording is an empty file and has no verdict.
    const known = files.filter(file => file in verdicts)
    assert.equal(known.length, count)
    assert.deepEqual(
      known.map(file => [file, verdictOf(file)]),
      known.map(file => [file, verdicts[file] ? 'linearizable' : 'not linearizable']),
    )
  })
}
