/**
 * Goal: what a member keeps of a group beside its log is never misread. Method: golden bytes, a
 * round trip by property, and bytes that are something else.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { decodeGroupBase, encodeGroupBase } from '../../src/codec/group-base.ts'

test('the bytes are those of version 1', () => {
  const base = {
    commit: 0x0102030405,
    term: 6,
    configuration: Uint8Array.of(7, 8),
    manifest: Uint8Array.of(9),
  }
  const golden = [1, 5, 4, 3, 2, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 8, 9]
  assert.deepEqual([...encodeGroupBase(base)], golden)
})

test('every base comes back', () => {
  const bytes = fc.uint8Array({ maxLength: 50 })
  const number = fc.nat(Number.MAX_SAFE_INTEGER)
  fc.assert(
    fc.property(number, number, bytes, bytes, (commit, term, configuration, manifest) => {
      const base = { commit, term, configuration, manifest }
      const decoded = decodeGroupBase(encodeGroupBase(base), 'the base')
      assert.deepEqual(
        [decoded.commit, decoded.term, [...decoded.configuration], [...decoded.manifest]],
        [commit, term, [...configuration], [...manifest]],
      )
    }),
  )
})

test('other bytes are CORRUPTION that names the place', () => {
  const bad = [
    [],
    [1, 2],
    [2, ...new Array<number>(20).fill(0)],
    [1, ...new Array<number>(16).fill(0), 9, 0, 0, 0],
  ]
  for (const bytes of bad) {
    assert.throws(() => decodeGroupBase(Uint8Array.from(bytes), 'the base'), {
      code: 'CORRUPTION',
      message: /the base/,
    })
  }
})
