/**
 * Goal: whichever byte of a cached table is flipped, and wherever the file is cut short, every read
 * gives the right answer. Method: a small table, every byte and every length in turn, over the real
 * read path (lsm-harness.ts) with nothing kept in memory.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { temporaryDirectory } from '../temporary-directory.ts'
import { LsmHarness } from './lsm-harness.ts'

const KEYS: readonly string[] = ['a', 'ab', 'b', 'c', 'd']

test('every flipped byte and every truncation of a cached table is a repaired read', async () => {
  const directory = await temporaryDirectory()
  const harness = new LsmHarness(directory, 0)
  try {
    await harness.write(KEYS.map(key => ({ key, value: Buffer.from(`value of ${key}`) })))
    await harness.write([{ key: 'c', value: undefined }])
    harness.freeze()
    await harness.flush()
    const [name] = harness.cachedTables
    const path = join(directory, name)
    const whole = readFileSync(path)
    assert.ok(whole.length < 2000, `${whole.length} bytes`)
    let repaired = 0
    for (let at = 0; at < whole.length; at++) {
      writeFileSync(path, whole)
      harness.damageFile(name, 'flip', at)
      harness.forgetMemory()
      const before = harness.damagedReads
      await harness.verify(KEYS)
      repaired += harness.damagedReads - before
    }
    assert.ok(repaired > 0)
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      harness.forgetMemory()
      await harness.verify(KEYS)
    }
  } finally {
    harness.close()
    await rm(directory, { recursive: true })
  }
})
