/**
 * Goal: retries stop where they must (success, final errors, attempts, deadline, abort) and pause
 * as long as backoff and jitter say.
 * Method: a virtual clock; `sleep` moves it, so no test waits. Two tests use the real defaults.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, MetastoreError } from '../../src/codec/errors.ts'
import { type RetryOptions, withRetry } from '../../src/shared/retry.ts'

/** A clock that jumps to the earliest sleeper once nothing else is left to do. */
function virtualTime() {
  let nowMs = 0
  const sleepers = new Set<{ at: number; wake(): void }>()
  const pauses: number[] = []

  async function sleep(ms: number, signal: AbortSignal): Promise<void> {
    pauses.push(ms)
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        sleepers.delete(sleeper)
        reject(new Error('woken by abort'))
      }
      const wake = () => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const sleeper = { at: nowMs + ms, wake }
      sleepers.add(sleeper)
      signal.addEventListener('abort', stop)
      setImmediate(advance)
    })
  }
  function advance(): void {
    const next = [...sleepers].toSorted((a, b) => a.at - b.at)[0]
    if (next === undefined) return
    sleepers.delete(next)
    nowMs = next.at
    next.wake()
    setImmediate(advance)
  }
  return { now: () => nowMs, sleep, pauses }
}

function failing(code: ErrorCode): () => Promise<never> {
  return () => Promise.reject(new MetastoreError(code, `it is ${code}`))
}

function never(): Promise<never> {
  return new Promise(() => {})
}

describe('withRetry', () => {
  test('the first success is the answer', async () => {
    let calls = 0
    const answer = await withRetry({ deadlineMs: 1000, ...virtualTime() }, async () => {
      if (++calls < 4) throw new Error('not yet')
      return calls
    })
    assert.equal(answer, 4)
  })

  test('pauses are full jitter under a doubling ceiling with a top', async () => {
    const time = virtualTime()
    const rolls = [0.5, 0, 0.999, 1 / 4, 0.5]
    const options: RetryOptions = {
      ...time,
      deadlineMs: 100_000,
      // Longer than any pause, so that the attempts' own timers can be told from the pauses.
      attemptTimeoutMs: 50_000,
      attemptsMax: 6,
      baseDelayMs: 100,
      maxDelayMs: 1000,
      random: () => rolls.shift() ?? 0,
    }
    await assert.rejects(withRetry(options, failing('UNAVAILABLE')), { code: 'UNAVAILABLE' })
    const pauses = time.pauses.filter(ms => ms < 50_000)
    assert.deepEqual(pauses, [50, 0, 0.999 * 400, 200, 500])
  })

  test('final errors are not retried', async () => {
    for (const code of ['INVALID_REQUEST', 'CONFLICT', 'CLOSED', 'CORRUPTION'] as const) {
      let calls = 0
      const call = withRetry({ deadlineMs: 1000, ...virtualTime() }, () => {
        calls++
        return failing(code)()
      })
      await assert.rejects(call, { code, message: `it is ${code}` })
      assert.equal(calls, 1)
    }
  })

  test('a refusal of the store is not retried, although it is UNAVAILABLE', async () => {
    const refused = new MetastoreError('UNAVAILABLE', 'no', { details: { isRefusal: true } })
    let calls = 0
    const call = withRetry({ deadlineMs: 1000, ...virtualTime() }, () => {
      calls++
      return Promise.reject(refused)
    })
    await assert.rejects(call, error => error === refused)
    assert.equal(calls, 1)
  })

  test('used-up attempts are UNAVAILABLE with the last failure as cause', async () => {
    let calls = 0
    const options = { deadlineMs: 60_000, attemptsMax: 3, ...virtualTime() }
    const call = withRetry(options, async () => {
      throw new Error(`failure ${++calls}`)
    })
    await assert.rejects(call, error => {
      assert.ok(error instanceof MetastoreError)
      assert.equal(error.code, 'UNAVAILABLE')
      assert.deepEqual(error.details, { attempts: 3 })
      return error.cause instanceof Error && error.cause.message === 'failure 3'
    })
  })

  test('the deadline is never passed, whatever the call and the dice do', async () => {
    const attempt = fc.record({
      // Not 0: with a roll of 0 too, virtual time would stand still, and the retries never end.
      takesMs: fc.integer({ min: 1, max: 3000 }),
      roll: fc.double({ min: 0, max: 0.999, noNaN: true }),
    })
    const property = fc.asyncProperty(
      fc.array(attempt, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 5000 }),
      async (attempts, deadlineMs) => {
        const time = virtualTime()
        let at = 0
        const options = { ...time, deadlineMs, random: () => attempts[at % attempts.length].roll }
        const call = withRetry(options, async signal => {
          await time.sleep(attempts[at++ % attempts.length].takesMs, signal)
          throw new Error('again')
        })
        await assert.rejects(call, { code: 'UNAVAILABLE' })
        assert.ok(time.now() <= deadlineMs, `${time.now()} of ${deadlineMs}`)
      },
    )
    await fc.assert(property, { numRuns: 50 })
  })

  test('an attempt that does not answer is ended, told so, and followed by another', async () => {
    const signals: AbortSignal[] = []
    const options = { deadlineMs: 10_000, attemptTimeoutMs: 300, ...virtualTime() }
    const answer = await withRetry(options, signal => {
      signals.push(signal)
      return signals.length < 3 ? never() : Promise.resolve('third')
    })
    assert.equal(answer, 'third')
    assert.deepEqual(
      signals.map(signal => signal.aborted),
      [true, true, false],
    )
  })

  test('a call that never answers and heeds no signal ends at the deadline', async () => {
    const time = virtualTime()
    const call = withRetry({ ...time, deadlineMs: 700 }, never)
    await assert.rejects(call, { code: 'UNAVAILABLE' })
    assert.equal(time.now(), 700)
  })

  test('an abort ends an attempt at once, with its reason and no further call', async () => {
    const abort = new AbortController()
    const reason = new Error('closing')
    let calls = 0
    const call = withRetry({ deadlineMs: 60_000, signal: abort.signal }, () => {
      calls++
      return never()
    })
    abort.abort(reason)
    await assert.rejects(call, error => error === reason)
    assert.equal(calls, 1)
  })

  test('an abort ends a pause at once, also with real timers', async () => {
    const abort = new AbortController()
    const reason = new Error('closing')
    const options = { deadlineMs: 60_000, baseDelayMs: 30_000, maxDelayMs: 30_000 }
    const startedAt = performance.now()
    const random = () => 0.9
    const call = withRetry({ ...options, random, signal: abort.signal }, failing('UNAVAILABLE'))
    setTimeout(() => abort.abort(reason), 20)
    await assert.rejects(call, error => error === reason)
    assert.ok(performance.now() - startedAt < 5_000)
  })

  test('an aborted signal means that nothing is called', async () => {
    const reason = new Error('closed')
    let calls = 0
    const options = { deadlineMs: 1000, signal: AbortSignal.abort(reason) }
    const call = withRetry(options, async () => ++calls)
    await assert.rejects(call, error => error === reason)
    assert.equal(calls, 0)
  })

  test('the caller\u2019s own isRetryable decides', async () => {
    const options = { deadlineMs: 1000, isRetryable: () => false, ...virtualTime() }
    const failure = new Error('once')
    const call = withRetry(options, () => Promise.reject(failure))
    await assert.rejects(call, error => error === failure)
  })
})
