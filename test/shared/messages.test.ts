/**
 * Goal: answers and errors are on the other side what they were on this one.
 * Method: every code, and random messages, details and answers, written, read and compared.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter } from '../../src/codec/bytes.ts'
import { ERROR_CODES, MetastoreError } from '../../src/codec/errors.ts'
import { beginRecord, getAnswer, putAnswer, putErrorAnswer } from '../../src/shared/messages.ts'

function answerOf(out: ByteWriter): unknown {
  const reader = new ByteReader(out.view(), 'an answer')
  const answer = getAnswer(reader, bytes => bytes.text())
  assert.equal(reader.remaining, 0)
  return answer
}

function assertSameError(actual: unknown, expected: MetastoreError): void {
  assert.ok(actual instanceof MetastoreError)
  const { name, code, message, details, retryable } = expected
  assert.deepEqual(
    { name: actual.name, code: actual.code, message: actual.message, retryable: actual.retryable },
    { name, code, message, retryable },
  )
  assert.deepEqual(actual.details, details)
  assert.equal('details' in actual, 'details' in expected)
}

describe('an answer', () => {
  test('survives the trip', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const out = new ByteWriter(1)
        putAnswer(out, bytes => bytes.text(text))
        assert.equal(answerOf(out), text)
      }),
    )
  })

  for (const code of ERROR_CODES) {
    test(`${code} survives the trip, with its details`, () => {
      const details = fc.option(fc.jsonValue({ noUnicodeString: false }), { nil: undefined })
      fc.assert(
        fc.property(fc.string({ unit: 'binary' }), details, (message, anyDetails) => {
          // -0 is 0 in JSON, and nothing of ours tells them apart.
          const plain = anyDetails === undefined ? {} : { details: withoutNegativeZero(anyDetails) }
          const error = new MetastoreError(code, message, plain)
          const out = new ByteWriter(1)
          putErrorAnswer(out, error)
          assertSameError(answerOf(out), error)
          out.reset()
          putAnswer(out, bytes => {
            bytes.text('what an error takes back')
            throw error
          })
          assertSameError(answerOf(out), error)
        }),
        { numRuns: 50 },
      )
    })
  }

  test('stands behind what was written before, also when it becomes an error', () => {
    const out = beginRecord(new ByteWriter(1), 7, 300, 70_000)
    out.varint(5)
    putAnswer(out, bytes => {
      bytes.u64(1)
      throw new MetastoreError('CONFLICT', 'taken', { details: { retryAfterMs: 3 } })
    })
    const reader = new ByteReader(out.view(), 'a record')
    assert.deepEqual([reader.u8(), reader.varint(), reader.varint()], [7, 300, 70_000])
    assert.equal(reader.varint(), 5)
    const answer = getAnswer(reader, () => 'an answer')
    const expected = new MetastoreError('CONFLICT', 'taken', { details: { retryAfterMs: 3 } })
    assertSameError(answer, expected)
    assert.equal(reader.remaining, 0)
  })

  test('is not made of errors that are not ours', () => {
    const out = new ByteWriter()
    const broken = new TypeError('a bug')
    const write = () => {
      throw broken
    }
    assert.throws(() => putAnswer(out, write), broken)
  })

  test('a record begins anew in a used writer', () => {
    const out = new ByteWriter()
    out.text('of before')
    beginRecord(out, 1, 0, 0)
    assert.deepEqual([...out.view()], [1, 0, 0])
  })
})

function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown
}
