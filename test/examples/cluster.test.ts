/** Goal: the cluster example does what it says, and leaves nothing. Method: runs it as it is. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../../examples/cluster/cluster.js', import.meta.url))

test('three nodes survive the loss of their leader', { timeout: 60_000 }, async () => {
  const directory = await temporaryDirectory()
  try {
    const env = { ...process.env, TMPDIR: directory }
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM], { env })
    const [, leader] = /three nodes; node (\d) leads/.exec(stdout) ?? assert.fail(stdout)
    assert.match(stdout, new RegExp(`node ${leader} was killed; a write waited \\d+ ms`))
    assert.match(stdout, new RegExp(`node ${leader} reads: sky is grey\nall as it should be\n$`))
    assert.deepEqual(readdirSync(directory), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})
