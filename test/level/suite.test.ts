/**
 * Goal: abstract-level's own suite passes, as `npm run test:level` runs it, and leaves nothing
 * behind. Method: that program, as a child process; its TAP is shown when something fails.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../temporary-directory.ts'

const SUITE = fileURLToPath(new URL('suite.js', import.meta.url))
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** Some 100 s alone on two cores, more where they are shared; less than npm test allows a file. */
const TIMEOUT_MS = 540_000
/** What the suite of abstract-level 3.1.1 asserts of a database that has all it knows. */
const ASSERTIONS_MIN = 5000

test("abstract-level's suite passes, whole", { timeout: TIMEOUT_MS }, async () => {
  const directory = await temporaryDirectory()
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [SUITE], {
      maxBuffer: OUTPUT_BYTES_MAX,
      env: { ...process.env, TMPDIR: directory, NODE_OPTIONS: '' },
      timeout: TIMEOUT_MS,
    }).catch((error: Error & { stdout: string }) => {
      const failures = error.stdout.match(/^not ok[\s\S]*?^ {2}\.\.\.$/gm) ?? [
        error.stdout.slice(-4000),
      ]
      assert.fail(`${error.message}\n${failures.join('\n')}`)
    })
    const passed = Number(/^# pass +(\d+)$/m.exec(stdout)?.[1])
    assert.ok(passed >= ASSERTIONS_MIN, `${passed} assertions passed`)
    assert.deepEqual(stdout.match(/^(# SKIP.*|ok .*# SKIP.*)$/gm), null)
    assert.deepEqual(await readdir(directory), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})
