/**
 * Goal: configurations are on disk as docs/raft.md says, for ever.
 * Method: golden bytes; round trips of random configurations; damaged bytes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import {
  CONF_STATE_MEMBERS_MAX,
  decodeConfState,
  encodeConfState,
} from '../../src/codec/conf-state.ts'
import { type ConfState, EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'

const JOINT: ConfState = {
  voters: [1, 2 ** 32],
  votersOutgoing: [2],
  learners: [],
  learnersNext: [2 ** 53 - 1],
  autoLeave: true,
}
const GOLDEN =
  '01010200010000000000000000000000010000000100020000000000000000000100ffffffffffff1f00'

test('the bytes of a configuration are those of version 1', () => {
  assert.equal(toHex(encodeConfState(JOINT)), GOLDEN)
  assert.equal(toHex(encodeConfState(EMPTY_CONF_STATE)), '01000000000000000000')
})

test('every configuration comes back from its bytes', () => {
  const members = fc.array(fc.maxSafeNat(), { maxLength: 9 })
  const state = fc.record(
    {
      voters: members,
      votersOutgoing: members,
      learners: members,
      learnersNext: members,
      autoLeave: fc.boolean(),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(state, value => {
      assert.deepEqual(decodeConfState(encodeConfState(value)), value)
    }),
  )
})

test('other bytes are corruption that names what is wrong', () => {
  const bytes = encodeConfState(JOINT)
  const wrong: [RegExp, Uint8Array][] = [
    [/version 2/, Uint8Array.of(2, ...bytes.subarray(1))],
    [/auto leave 2/, Uint8Array.of(1, 2, ...bytes.subarray(2))],
    [/past 2\^53/, Uint8Array.of(...bytes.subarray(0, -1), 255)],
    [/1 bytes too many/, Uint8Array.of(...bytes, 0)],
  ]
  for (let end = 0; end < bytes.length; end++) wrong.push([/ends early/, bytes.subarray(0, end)])
  for (const [message, damaged] of wrong) {
    assert.throws(() => decodeConfState(damaged), { code: 'CORRUPTION', message })
  }
})

test('a list of more members than its count can say is refused', () => {
  const voters = Array.from({ length: CONF_STATE_MEMBERS_MAX + 1 }, (_, i) => i + 1)
  assert.throws(() => encodeConfState({ ...EMPTY_CONF_STATE, voters }), {
    code: 'INVALID_REQUEST',
    message: /65536 voters/,
  })
})
