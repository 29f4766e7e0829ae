/**
 * Goal: whatever goes wrong between the S3 store and the service ends as it should: retried, told
 * as the right error, or in time. Method: a proxy before a real server does wrong once, or always.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { putOnce } from '../../src/shared/conditional-put.ts'
import { type RetryOptions, withRetry } from '../../src/shared/retry.ts'
import type { S3Location } from '../../src/shared/s3-options.ts'
import { S3ObjectStore } from '../../src/workers/io/s3/s3-object-store.ts'
import { FaultProxy, type ProxiedRequest } from '../s3/fault-proxy.ts'
import {
  freshLocation,
  makeBucket,
  serverEndpoint,
  unfinishedUploads,
  withoutServer,
} from '../s3/s3-server.ts'
import { bytes, keysOf } from './contract.ts'

const MIB = 1024 * 1024
/** Of the store that has to give up; nothing else may depend on how long a request takes. */
const TIMEOUTS = { requestMs: 400, connectMs: 400 }
/** What ends at once ends long before this, however busy the machine; what waits, long after. */
const AT_ONCE_MS = 5_000
const FAST: RetryOptions = { deadlineMs: 10_000, baseDelayMs: 2, maxDelayMs: 20 }
/** More than two parts. */
const LARGE = new Uint8Array(17 * MIB).map((_, i) => i >>> 8)

const isPut = ({ method, url }: ProxiedRequest): boolean =>
  method === 'PUT' && !url.includes('partNumber')
const isGet = ({ method, url }: ProxiedRequest): boolean =>
  method === 'GET' && !url.includes('list-type')
const isPart = ({ method, url }: ProxiedRequest): boolean =>
  method === 'PUT' && url.includes('partNumber')
const isBegin = ({ method, url }: ProxiedRequest): boolean =>
  method === 'POST' && /[?&]uploads/.test(url)
const isComplete = ({ method, url }: ProxiedRequest): boolean =>
  method === 'POST' && url.includes('uploadId=')

describe('faults between the store and S3', { skip: withoutServer }, () => {
  let proxy: FaultProxy
  let location: S3Location
  /** As it is used, with timeouts of many seconds. */
  let store: S3ObjectStore
  let hasty: S3ObjectStore

  before(async () => {
    await makeBucket()
    proxy = await FaultProxy.listen(serverEndpoint())
  })
  after(async () => {
    await Promise.all([store.close(), hasty.close()])
    await proxy.close()
  })
  beforeEach(async () => {
    await Promise.all([store?.close(), hasty?.close()])
    location = freshLocation(proxy.endpoint)
    store = new S3ObjectStore(location)
    hasty = new S3ObjectStore(location, TIMEOUTS)
    proxy.plan = () => null
    proxy.requests.length = 0
  })

  const count = (isMeant: (request: ProxiedRequest) => boolean): number =>
    proxy.requests.filter(isMeant).length

  test('a conditional put whose answer is lost is created, and put once', async () => {
    proxy.script(isPut, { type: 'loseAnswer' })
    assert.equal(await putOnce(store, 'k', bytes(5), FAST), 'created')
    assert.equal(count(isPut), 1)
    assert.deepEqual(await store.get('k'), bytes(5))
  })

  test('a conditional put that comes to the server after it was given up is created', async () => {
    proxy.script(isPut, { type: 'late', ms: 600 })
    assert.equal(await putOnce(hasty, 'k', bytes(5), FAST), 'created')
    await sleep(400)
    assert.deepEqual(await store.get('k'), bytes(5))
    assert.equal(await putOnce(store, 'k', bytes(5), FAST), 'exists')
  })

  test('a conditional put of many parts whose answer is lost is created', async () => {
    proxy.script(isComplete, { type: 'loseAnswer' })
    assert.equal(await putOnce(store, 'k', LARGE, FAST), 'created')
    assert.equal(count(isComplete), 1)
    assert.equal((await store.head('k'))?.sizeBytes, LARGE.length)
    assert.equal(await unfinishedUploads(location.prefix), 0)
  })

  test('a conditional put of many parts that comes second is exists, and leaves no parts', async () => {
    await store.put('k', bytes(3))
    assert.equal(await store.put('k', LARGE, { ifNoneMatch: true }), 'exists')
    assert.deepEqual(await store.get('k'), bytes(3))
    assert.equal(await unfinishedUploads(location.prefix), 0)
  })

  test('a conflict of racing requests is retried', async () => {
    const conflict = { type: 'answer', status: 409, code: 'ConditionalRequestConflict' } as const
    proxy.script(isPut, conflict, conflict)
    assert.equal(await putOnce(store, 'k', bytes(5), FAST), 'created')
    proxy.script(isComplete, conflict)
    assert.equal(await putOnce(store, 'large', LARGE, FAST), 'created')
    assert.equal(await unfinishedUploads(location.prefix), 0)
  })

  test('a service that is slowed down is asked again, each time after a longer pause', async () => {
    const slowDown = { type: 'answer', status: 503, code: 'SlowDown' } as const
    proxy.script(isPut, slowDown, slowDown, slowDown)
    const pauses: number[] = []
    const sleeping = async (ms: number, signal: AbortSignal): Promise<void> => {
      if (!signal.aborted && ms < 1000) pauses.push(ms)
      await sleep(Math.min(ms, 2 ** 31 - 1), undefined, { signal })
    }
    const options = { deadlineMs: 10_000, baseDelayMs: 8, random: () => 0.5, sleep: sleeping }
    assert.equal(
      await withRetry(options, signal => store.put('k', bytes(5), { signal })),
      'created',
    )
    assert.deepEqual(pauses, [4, 8, 16])
  })

  test('a get that is cut in its middle fails, and is whole when repeated', async () => {
    await store.put('k', bytes(200_000))
    for (const range of [{}, { offset: 100, length: 150_000 }]) {
      proxy.script(isGet, { type: 'cut', atByte: 70_000 })
      await assert.rejects(store.get('k', range), { code: 'UNAVAILABLE', message: /get of 's3:/ })
      proxy.script(isGet, { type: 'cut', atByte: 70_000 }, { type: 'cut', atByte: 0 })
      const found = await withRetry(FAST, signal => store.get('k', { ...range, signal }))
      const { offset = 0, length = 200_000 } = range as { offset?: number; length?: number }
      assert.deepEqual(found, bytes(200_000).slice(offset, offset + length))
    }
  })

  test('a flipped bit is found in a whole object, and in a range only by whoever knows it', async () => {
    await store.put('k', bytes(1000))
    proxy.script(isGet, { type: 'flip', atByte: 500 })
    await assert.rejects(store.get('k'), { code: 'UNAVAILABLE', message: /Checksum mismatch/ })
    assert.deepEqual(await withRetry(FAST, () => store.get('k')), bytes(1000))
    proxy.script(isGet, { type: 'flip', atByte: 500 })
    assert.notDeepEqual(await store.get('k', { offset: 0, length: 999 }), bytes(999))
  })

  test('a service that hangs is given up in time, by each kind of call', async () => {
    proxy.plan = () => ({ type: 'hang' })
    const calls = [
      () => hasty.put('k', bytes(5)),
      () => hasty.get('k'),
      () => hasty.head('k'),
      () => hasty.list(''),
      () => hasty.delete(['k']),
    ]
    for (const call of calls) {
      const startedAt = performance.now()
      await assert.rejects(call, { code: 'UNAVAILABLE' })
      assert.ok(performance.now() - startedAt < AT_ONCE_MS)
    }
    // By the deadline of the call, when that comes first.
    const startedAt = performance.now()
    const options = { ...FAST, deadlineMs: 1_000 }
    await assert.rejects(
      withRetry(options, signal => store.get('k', { signal })),
      { code: 'UNAVAILABLE' },
    )
    assert.ok(performance.now() - startedAt < AT_ONCE_MS)
  })

  test('a service that shows life and never answers, or stops in its answer, is given up', async () => {
    await store.put('k', bytes(100_000))
    for (const fault of [{ type: 'dawdle' }, { type: 'stall', atByte: 50_000 }] as const) {
      for (const range of [{}, { length: 99_000 }]) {
        proxy.script(isGet, fault)
        const startedAt = performance.now()
        await assert.rejects(hasty.get('k', range), { code: 'UNAVAILABLE' })
        assert.ok(performance.now() - startedAt < AT_ONCE_MS)
      }
    }
  })

  test('a part that fails for a moment is sent again, and the upload not begun anew', async () => {
    proxy.script(isPart, { type: 'answer', status: 503, code: 'SlowDown' }, { type: 'loseAnswer' })
    assert.equal(await store.put('k', LARGE), 'created')
    assert.equal(count(isBegin), 1)
    const found = (await store.get('k')) ?? bytes(0)
    assert.equal(Buffer.compare(found, LARGE), 0)
  })

  test('an upload whose parts fail is aborted and leaves nothing', async () => {
    proxy.plan = request =>
      isPart(request) && request.url.includes('partNumber=2')
        ? { type: 'answer', status: 500, code: 'InternalError' }
        : null
    await assert.rejects(store.put('k', LARGE), {
      code: 'UNAVAILABLE',
      message: /upload of a part of 's3:.*500 InternalError/,
    })
    assert.equal(await unfinishedUploads(location.prefix), 0)
    assert.equal(await store.head('k'), null)
  })

  test('when one part is refused the others are not waited for', async () => {
    proxy.plan = request => {
      if (!isPart(request)) return null
      const isRefused = request.url.includes('partNumber=2')
      return isRefused ? { type: 'answer', status: 403, code: 'AccessDenied' } : { type: 'hang' }
    }
    const startedAt = performance.now()
    await assert.rejects(store.put('k', LARGE), { code: 'UNAVAILABLE', message: /AccessDenied/ })
    assert.ok(performance.now() - startedAt < AT_ONCE_MS)
    assert.equal(await unfinishedUploads(location.prefix), 0)
  })

  test('an abort ends every kind of call at once, with its reason', async () => {
    proxy.plan = () => ({ type: 'hang' })
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      signal => store.put('k', bytes(5), { signal }),
      signal => store.put('k', LARGE, { signal }),
      signal => store.get('k', { signal }),
      signal => store.head('k', { signal }),
      signal => store.list('', { signal }),
      signal => store.delete(['k'], { signal }),
      signal => store.abortUploads('', { before: 0, signal }),
    ]
    for (const call of calls) {
      const abort = new AbortController()
      const reason = new Error('no longer wanted')
      const called = call(abort.signal)
      await sleep(50)
      const abortedAt = performance.now()
      abort.abort(reason)
      await assert.rejects(called, error => error === reason)
      assert.ok(performance.now() - abortedAt < AT_ONCE_MS)
    }
  })

  test('an abort while parts are sent leaves none of them', async () => {
    proxy.plan = request => (isPart(request) ? { type: 'hang' } : null)
    const abort = new AbortController()
    const put = store.put('k', LARGE, { signal: abort.signal })
    while (count(isPart) === 0) await sleep(5)
    assert.equal(await unfinishedUploads(location.prefix), 1)
    abort.abort()
    await assert.rejects(put, { name: 'AbortError' })
    // What was begun is cleared away after the call has ended.
    for (let i = 0; i < 500 && (await unfinishedUploads(location.prefix)) > 0; i++) await sleep(20)
    assert.equal(await unfinishedUploads(location.prefix), 0)
    assert.equal(await store.head('k'), null)
  })

  test('an empty page that is not the last is followed by the next', async () => {
    await store.put('a', bytes(1))
    const body =
      '<ListBucketResult><IsTruncated>true</IsTruncated>' +
      '<NextContinuationToken>t</NextContinuationToken></ListBucketResult>'
    const last =
      '<ListBucketResult><IsTruncated>false</IsTruncated>' +
      `<Contents><Key>${location.prefix}z</Key><Size>1</Size></Contents></ListBucketResult>`
    const isList = ({ url }: ProxiedRequest): boolean => url.includes('list-type')
    proxy.script(
      isList,
      { type: 'answer', status: 200, body },
      { type: 'answer', status: 200, body: last },
    )
    assert.deepEqual(await keysOf(store, ''), ['z'])
    assert.match(proxy.requests.at(-1)?.url ?? '', /continuation-token=t/)
  })

  test('a key that could not be deleted is told', async () => {
    const body =
      `<DeleteResult><Error><Key>${location.prefix}b</Key><Code>InternalError</Code>` +
      '<Message>try later</Message></Error></DeleteResult>'
    proxy.script(() => true, { type: 'answer', status: 200, body })
    await assert.rejects(store.delete(['a', 'b', 'c']), {
      code: 'UNAVAILABLE',
      message: `delete of 's3://${location.bucket}/${location.prefix}b' failed: InternalError: try later`,
    })
  })

  const answers: [status: number, code: string, isRefusal: boolean][] = [
    [301, 'PermanentRedirect', true],
    [400, 'InvalidArgument', true],
    [400, 'BadDigest', false],
    [400, 'ExpiredToken', false],
    [400, 'RequestTimeout', false],
    [403, 'AccessDenied', true],
    [403, 'RequestTimeTooSkewed', false],
    [404, 'NoSuchBucket', true],
    [409, 'OperationAborted', false],
    [429, 'TooManyRequests', false],
    [500, 'InternalError', false],
    [501, 'NotImplemented', true],
    [503, 'ServiceUnavailable', false],
  ]
  for (const [status, code, isRefusal] of answers) {
    const claim = isRefusal ? 'a refusal, which is final' : 'a failure, which is retried'
    test(`${status} ${code} is ${claim}; both name bucket, key, status and code`, async () => {
      const key = `${location.prefix}k`
      const text = `get of 's3://${location.bucket}/${key}' failed: ${status} ${code}: on purpose`
      proxy.plan = () => ({ type: 'answer', status, code })
      await assert.rejects(store.get('k'), {
        code: 'UNAVAILABLE',
        message: text,
        details: { bucket: location.bucket, key, status, code, isRefusal },
      })
      const options = { ...FAST, attemptsMax: 2 }
      await assert.rejects(
        withRetry(options, () => store.get('k')),
        { code: 'UNAVAILABLE' },
      )
      assert.equal(proxy.requests.length, isRefusal ? 2 : 3)
    })
  }
})
