/**
 * Goal: a read replica that was closed, or did not open, leaves no thread, timer or lock. Method: a
 * process of its own, which has to end by itself.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '../../temporary-directory.ts'

test('a process that has closed its replicas ends by itself', { timeout: 50_000 }, async () => {
  const directory = await temporaryDirectory()
  const program = fileURLToPath(new URL('closing-process.js', import.meta.url))
  const args = [program, join(directory, 'store'), join(directory, 'replica')]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  try {
    const [exitCode] = (await once(child, 'exit')) as [number]
    assert.equal(exitCode, 0)
  } finally {
    child.kill()
    await rm(directory, { recursive: true })
  }
})
