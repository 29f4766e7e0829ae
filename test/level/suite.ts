/**
 * Goal: WaymarkLevel is an abstract-level database. Method: abstract-level's own test suite, which
 * ships inside the package, run by tape, whole: what our manifest declares decides which files it
 * runs. A program of its own, because tape ends with its process; suite.test.ts runs it.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Metastore } from '../../src/index.ts'
import { WaymarkLevel, type WaymarkLevelOptions } from '../../src/level.ts'

const require = createRequire(import.meta.url)
const suite = require('abstract-level/test') as (options: object) => void
const test = require('tape') as { onFinish(callback: () => void): void }

const root = mkdtempSync(join(tmpdir(), 'waymark-level-suite-'))
// Before tape's own listener, which prints the summary and ends the process at once.
process.on('exit', () => rmSync(root, { recursive: true }))

/**
 * Most tests leave their database open, which comes to 10 GB of threads and buffers; so the
 * metastores are closed below those databases that no test can be using any more.
 */
const RECENT_MAX = 64
const recent: Metastore[] = []
const open = Metastore.open.bind(Metastore)
Metastore.open = async options => {
  const metastore = await open(options)
  recent.push(metastore)
  if (recent.length > RECENT_MAX)
    recent
      .shift()
      ?.close()
      .catch(() => {})
  return metastore
}

suite({
  test,
  factory(options: WaymarkLevelOptions<string, string> = {}) {
    return new WaymarkLevel(join(root, randomUUID()), {
      ...options,
      objectStore: `memory:${randomUUID()}`,
      durability: 'os',
    })
  },
})

// Some tests leave a database open, or locked for good; its threads would keep the process alive.
test.onFinish(() => setImmediate(() => process.exit()))
