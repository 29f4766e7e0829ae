/**
 * Goal: what a Raft core asks of the log is right: terms, first and last index, and configurations,
 * which outlive cuts and segments; logs of format version 1 go on in version 2.
 * Method: logs of 4 KiB segments on a fake disk, reopened; a segment of version 1 in golden bytes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { LOG_CONFIGURATION_BYTES_MAX } from '../../../src/codec/log-format.ts'
import { segmentName } from '../../../src/codec/segment-header.ts'
import { FakeDisk } from './fake-disk.ts'
import { appendMany, bytesOf, nextTurn, openLog, replayed } from './log-driver.ts'

/** Longer than a segment. */
const CONFIGURATION_BYTES = 16_384
/** Header of segment 2 in version 1: group 1 with term 5, vote 2 and a cut at 100 of term 4. */
const SEGMENT_V1 =
  '48000000eac6619c0100000000000000000000000000000000000000000000000000000000000000' +
  '574d4c47010000000200000000000000a00f00000000100001000000000000000100000000000000' +
  '0500000000000000020000000000000064000000000000000400000000000000'

test('the last configuration written is there after a reopen, whatever its index', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.setConfiguration(1, 7, bytesOf('first'))
  log.setConfiguration(2, 0, bytesOf('other group'))
  log.setConfiguration(1, 3, bytesOf('second'))
  assert.deepEqual(log.groupState(1)?.configuration, { index: 3, bytes: bytesOf('second') })
  await log.close()
  const again = await openLog(disk)
  assert.deepEqual(
    again.groups().map(state => state.configuration),
    [
      { index: 3, bytes: bytesOf('second') },
      { index: 0, bytes: bytesOf('other group') },
    ],
  )
  await again.close()
})

test('a configuration outlives cuts and the segments that held it', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  const bytes = new Uint8Array(CONFIGURATION_BYTES).fill(7)
  log.setConfiguration(1, 1, bytes)
  bytes.fill(0)
  await appendMany(log, 1, 1, 100)
  log.append(1, 2, 50, 0, bytesOf('replaces'))
  log.cut(1, 50, 2)
  await log.drained()
  await appendMany(log, 2, 1, 40)
  while (disk.names.has(segmentName(2))) await nextTurn()
  await log.close()
  const again = await openLog(disk)
  assert.deepEqual(again.groupState(1)?.configuration, { index: 1, bytes: bytes.fill(7) })
  await again.close()
})

test('a configuration that is empty or too long is refused, and nothing is changed', async () => {
  const log = await openLog(new FakeDisk())
  for (const length of [0, LOG_CONFIGURATION_BYTES_MAX + 1]) {
    assert.throws(() => log.setConfiguration(1, 1, new Uint8Array(length)), {
      code: 'INVALID_REQUEST',
    })
  }
  for (const index of [-1, 1.5, 2 ** 53]) {
    assert.throws(() => log.setConfiguration(1, index, bytesOf('a')), RangeError)
  }
  assert.equal(log.groupState(1), undefined)
  await log.close()
  assert.throws(() => log.setConfiguration(1, 1, bytesOf('a')), { code: 'CLOSED' })
})

test('configurations of all groups take 16 MiB at most, and one may replace another', async () => {
  const log = await openLog(new FakeDisk(), { segmentBytesMax: 67108864 })
  const bytes = new Uint8Array(LOG_CONFIGURATION_BYTES_MAX)
  for (let group = 1; group <= 2; group++) log.setConfiguration(group, 1, bytes)
  log.setConfiguration(2, 2, bytes)
  assert.throws(() => log.setConfiguration(3, 1, bytesOf('a')), { code: 'INVALID_REQUEST' })
  log.setConfiguration(2, 3, bytes.subarray(1))
  log.setConfiguration(3, 1, bytesOf('a'))
  await log.close()
})

test('terms and bounds are those of the live entries and the cut, durable or not', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  const shown = (group: number, to: number) => [
    log.firstIndex(group),
    log.lastIndex(group),
    ...Array.from({ length: to + 1 }, (_, index) => log.term(group, index)),
  ]
  assert.deepEqual(shown(1, 1), [1, 0, 0, undefined])
  for (let index = 1; index <= 4; index++) log.append(1, index, index, 0, bytesOf('a'))
  assert.deepEqual(shown(1, 5), [1, 4, 0, 1, 2, 3, 4, undefined])
  log.append(1, 9, 4, 0, bytesOf('b'))
  log.cut(1, 2, 2)
  assert.deepEqual(shown(1, 5), [3, 4, undefined, undefined, 2, 3, 9, undefined])
  log.cut(1, 10, 11)
  assert.deepEqual([log.firstIndex(1), log.lastIndex(1), log.term(1, 10)], [11, 10, 11])
  assert.equal(log.term(1, 9), undefined)
  assert.deepEqual(log.groupState(1), log.groups()[0])
  assert.equal(log.groupState(2), undefined)
  await log.close()
})

test('a log of version 1 opens and goes on in a segment of version 2', async () => {
  const disk = new FakeDisk()
  const bytes = new Uint8Array(1048576)
  bytes.set(Buffer.from(SEGMENT_V1, 'hex'))
  disk.place(segmentName(2), bytes)
  const untouched = await openLog(disk)
  const state = untouched.groupState(1)
  assert.deepEqual([state?.term, state?.vote, state?.cutIndex, state?.cutTerm], [5, 2, 100, 4])
  assert.equal(state?.configuration, undefined)
  await untouched.close()
  assert.ok(!disk.names.has(segmentName(3)))

  const log = await openLog(disk)
  log.append(1, 5, 101, 0, bytesOf('goes on'))
  log.setConfiguration(1, 101, bytesOf('members'))
  await log.close()
  assert.deepEqual(disk.bytesOf(segmentName(2)), bytes)
  assert.equal(disk.bytesOf(segmentName(3))[44], 2)
  const again = await openLog(disk)
  assert.deepEqual(await replayed(again), ['1/5/101/0:goes on'])
  assert.deepEqual(again.groupState(1)?.configuration, { index: 101, bytes: bytesOf('members') })
  await again.close()
})
