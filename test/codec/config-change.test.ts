/**
 * Goal: configuration changes are on disk as docs/raft.md says, for ever.
 * Method: golden bytes; round trips of random changes; damaged bytes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import {
  CONFIG_OPERATIONS,
  CONFIG_TRANSITIONS,
  decodeConfigChange,
  encodeConfigChange,
} from '../../src/codec/config-change.ts'

const GOLDEN = '01020300000100000000000000010000000001000000020000000000200000'

test('the bytes of a change are those of version 1', () => {
  const bytes = encodeConfigChange({
    transition: 'explicit',
    changes: [
      { operation: 'voter', member: 1 },
      { operation: 'learner', member: 2 ** 32 },
      { operation: 'remove', member: 2 ** 45 },
    ],
  })
  assert.equal(toHex(bytes), GOLDEN)
})

test('leaving the joint configuration takes no bytes', () => {
  assert.equal(encodeConfigChange({ transition: 'auto', changes: [] }).length, 0)
  assert.deepEqual(decodeConfigChange(new Uint8Array(0)), { transition: 'auto', changes: [] })
})

test('every change comes back from its bytes', () => {
  const plain = { noNullPrototype: true }
  const transition = fc.constantFrom(...CONFIG_TRANSITIONS)
  const operation = fc.constantFrom(...CONFIG_OPERATIONS)
  const changes = fc.array(fc.record({ operation, member: fc.maxSafeNat() }, plain))
  const change = fc.record({ transition, changes }, plain)
  fc.assert(
    fc.property(change, value => {
      assert.deepEqual(decodeConfigChange(encodeConfigChange(value)), value)
    }),
  )
})

test('other bytes are corruption', () => {
  const bytes = encodeConfigChange({
    transition: 'auto',
    changes: [{ operation: 'voter', member: 1 }],
  })
  const wrong: [string, Uint8Array][] = [
    ['a version', Uint8Array.of(2, ...bytes.subarray(1))],
    ['a transition', Uint8Array.of(1, 3, ...bytes.subarray(2))],
    ['an operation', Uint8Array.of(...bytes.subarray(0, 4), 4, ...bytes.subarray(5))],
    ['an end', bytes.subarray(0, -1)],
    ['a byte more', Uint8Array.of(...bytes, 0)],
  ]
  for (const [what, damaged] of wrong) {
    assert.throws(() => decodeConfigChange(damaged), { code: 'CORRUPTION' }, what)
  }
})
