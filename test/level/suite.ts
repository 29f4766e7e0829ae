/**
 * Goal: WaymarkLevel is an abstract-level database. Method: abstract-level's own test suite, which
 * ships inside the package, run by tape. Not a node:test file: level.test.ts runs it.
 */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { WaymarkLevel, type WaymarkLevelOptions } from '../../src/level.ts'

const require = createRequire(import.meta.url)
const suite = require('abstract-level/test') as (options: object) => void
const test = require('tape') as unknown

const [, , root = '.'] = process.argv

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
