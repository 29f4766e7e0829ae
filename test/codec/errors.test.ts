/**
 * Goal: callers can rely on code, retryable and details of every error.
 * Method: the whole list as a literal, so that a code cannot appear, vanish or change unnoticed.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  conflict,
  corruption,
  ERROR_CODES,
  type ErrorCode,
  invalidRequest,
  MetastoreError,
  outOfRange,
} from '../../src/codec/errors.ts'

const RETRYABLE: Record<ErrorCode, boolean> = {
  MISSING_PARTITION: false,
  OUT_OF_RANGE: false,
  INVALID_REQUEST: false,
  CONFLICT: false,
  OVERLOADED: true,
  UNAVAILABLE: true,
  INDETERMINATE: true,
  CORRUPTION: false,
  PARTIAL_FAILURE: false,
  READ_ONLY: false,
  CLOSED: false,
}

test('a call may be repeated unchanged after these codes and no others', () => {
  // The order counts as well: errors cross threads as numbers.
  assert.deepEqual([...ERROR_CODES], Object.keys(RETRYABLE))
  for (const code of ERROR_CODES) {
    assert.equal(new MetastoreError(code, 'm').retryable, RETRYABLE[code], code)
  }
})

test('an error has what it was given, and nothing where nothing was', () => {
  const cause = new Error('deeper')
  const full = new MetastoreError('OVERLOADED', 'm', { details: { retryAfterMs: 5 }, cause })
  assert.ok(full instanceof Error)
  assert.equal(full.name, 'MetastoreError')
  assert.equal(full.message, 'm')
  assert.deepEqual(full.details, { retryAfterMs: 5 })
  assert.equal(full.cause, cause)
  const bare = new MetastoreError('CLOSED', 'm')
  assert.equal(bare.details, undefined)
  assert.equal(bare.cause, undefined)
})

test('the helpers make errors of their codes', () => {
  const made = [invalidRequest('a'), conflict('b'), outOfRange('c'), corruption('d')]
  assert.deepEqual(
    made.map(({ code, message }) => [code, message]),
    [
      ['INVALID_REQUEST', 'a'],
      ['CONFLICT', 'b'],
      ['OUT_OF_RANGE', 'c'],
      ['CORRUPTION', 'd'],
    ],
  )
  const place = { file: 'f', block: 2, offset: 3 }
  assert.deepEqual(corruption('d', place).details, place)
  assert.deepEqual(conflict('b', { id: 1 }).details, { id: 1 })
})
