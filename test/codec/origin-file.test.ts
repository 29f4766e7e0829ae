/**
 * Goal: what a domain descends from is never misread, and relatives are told from strangers.
 * Method: golden text, a round trip, wrong fields, and a small family.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MetastoreError } from '../../src/codec/errors.ts'
import {
  decodeOrigin,
  encodeOrigin,
  type OriginFile,
  sharedHistory,
} from '../../src/codec/origin-file.ts'

const ID = '00112233-4455-6677-8899-aabbccddeeff'
const OTHER = '00112233-4455-6677-8899-aabbccddeef0'
const ORIGIN: OriginFile = { domain: ID, ancestors: [{ domain: OTHER, sequence: 7 }] }
const TEXT =
  `{"format":"waymark-origin","version":1,"domain":"${ID}",` +
  `"ancestors":[{"domain":"${OTHER}","sequence":7}]}\n`

test('an origin has its golden text, and nothing else is taken for one', () => {
  assert.equal(new TextDecoder().decode(encodeOrigin(ORIGIN)), TEXT)
  assert.deepEqual(decodeOrigin(new TextEncoder().encode(TEXT), 'f'), ORIGIN)
  const bad = [
    ['waymark-origin', 'waymark-lease'],
    ['"version":1', '"version":2'],
    [ID, 'x'],
    [OTHER, 'x'],
    ['7', '-7'],
    ['7', '7.5'],
    [`[{"domain":"${OTHER}","sequence":7}]`, '{}'],
    [`{"domain":"${OTHER}","sequence":7}`, 'null'],
    ['}\n', ''],
  ]
  for (const [from, to] of bad) {
    assert.throws(
      () => decodeOrigin(new TextEncoder().encode(TEXT.replace(from, to)), 'the/file'),
      (error: unknown) =>
        error instanceof MetastoreError &&
        error.code === 'CORRUPTION' &&
        (error.details as { file: string }).file === 'the/file',
      `${from} -> ${to}`,
    )
  }
})

test('relatives share the history up to where they parted', () => {
  const root = { domain: 'root', ancestors: [] }
  const child = { domain: 'child', ancestors: [{ domain: 'root', sequence: 10 }] }
  const second = { domain: 'second', ancestors: [{ domain: 'root', sequence: 4 }] }
  const grandchild = {
    domain: 'grandchild',
    ancestors: [
      { domain: 'child', sequence: 30 },
      { domain: 'root', sequence: 10 },
    ],
  }
  const stranger = { domain: 'stranger', ancestors: [{ domain: 'nobody', sequence: 9 }] }
  const shared: [OriginFile, OriginFile, number | undefined][] = [
    [root, child, 10],
    [root, grandchild, 10],
    [child, grandchild, 30],
    [child, second, 4],
    [second, grandchild, 4],
    [root, stranger, undefined],
    [grandchild, stranger, undefined],
  ]
  for (const [a, b, sequence] of shared) {
    assert.equal(sharedHistory(a, b), sequence, `${a.domain} ${b.domain}`)
    assert.equal(sharedHistory(b, a), sequence, `${b.domain} ${a.domain}`)
  }
})
