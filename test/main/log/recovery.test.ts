/**
 * Goal: damage is either a torn tail, cut at the last whole record, or CORRUPTION; nothing wrong is
 * ever replayed and nothing durable is lost silently, except in the last append, where damage
 * cannot be told from a torn write.
 * Method: every truncation point and every flipped byte of small logs, and the special cases.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { segmentName } from '../../../src/codec/segment-header.ts'
import { FakeDisk } from './fake-disk.ts'
import { appendMany, bytesOf, openLog, replayed } from './log-driver.ts'

interface SmallLog {
  disk: FakeDisk
  /** What each append added to replay. */
  appends: string[][]
  /** Where the last append begins and ends in the newest segment. */
  lastStart: number
  end: number
}

/** Three appends of two entries each; all in one segment. */
async function smallLog(): Promise<SmallLog> {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  const appends: string[][] = []
  let lastStart = 0
  for (let i = 0; i < 3; i++) {
    lastStart = log.sizeBytes
    log.append(1, 1, 2 * i + 1, 0, bytesOf(`first ${i}`))
    log.append(1, 1, 2 * i + 2, 0, bytesOf(`second ${i}`))
    appends.push([`1/1/${2 * i + 1}/0:first ${i}`, `1/1/${2 * i + 2}/0:second ${i}`])
    await log.drained()
  }
  const end = log.sizeBytes
  await log.close()
  return { disk, appends, lastStart, end }
}

/** The entries found in a log of one file, or the error's code. */
async function opened(bytes: Uint8Array): Promise<string[] | string> {
  const disk = new FakeDisk()
  disk.place(segmentName(1), bytes)
  let warnings = 0
  try {
    const log = await openLog(disk, { logger: { info: assert.fail, warn: () => warnings++ } })
    const found = await replayed(log)
    // The log must take more after the cut, and read it back.
    const next = (log.groups()[0]?.lastIndex ?? 0) + 1
    log.append(1, 9, next, 0, bytesOf('after'))
    await log.close()
    const again = await openLog(disk, {
      logger: { info: assert.fail, warn: () => assert.fail('cut twice') },
    })
    assert.deepEqual(await replayed(again), [...found, `1/9/${next}/0:after`])
    await again.close()
    return found
  } catch (error) {
    const { code, details } = error as { code: string; details: { file: string; offset: number } }
    assert.equal(details?.file, segmentName(1), String(error))
    assert.ok(details.offset >= 0)
    assert.equal(disk.openFiles, 0)
    return code
  }
}

test('every flipped byte is CORRUPTION, or a right prefix that lacks of the last append only', async () => {
  const { disk, appends, lastStart, end } = await smallLog()
  const intact = disk.bytesOf(segmentName(1))
  const all = appends.flat()
  let torn = 0
  for (let at = 0; at < end + 64; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const bytes = intact.slice()
      bytes[at] ^= mask
      const found = await opened(bytes)
      if (found === 'CORRUPTION') {
        assert.ok(at < lastStart, `byte ${at} is in the last append and was called corruption`)
        continue
      }
      assert.deepEqual(found, all.slice(0, found.length), `byte ${at}`)
      assert.ok(found.length >= 4, `byte ${at}: durable entries were lost`)
      if (found.length < all.length) torn++
    }
  }
  assert.ok(torn > 100)
})

test('a flipped byte outside the paddings before the last append is always CORRUPTION', async () => {
  const { disk, lastStart } = await smallLog()
  const intact = disk.bytesOf(segmentName(1))
  let silent = 0
  for (let at = 0; at < lastStart; at++) {
    const bytes = intact.slice()
    bytes[at] ^= 0x10
    if ((await opened(bytes)) !== 'CORRUPTION') silent++
  }
  // Payloads of 7 and 8 bytes: one byte of padding in each of two appends.
  assert.equal(silent, 2)
})

test('a file cut anywhere is CORRUPTION, because its first chunk was durable at full size', async () => {
  const { disk } = await smallLog()
  const intact = disk.bytesOf(segmentName(1))
  for (let length = 0; length < intact.length; length++) {
    assert.equal(await opened(intact.slice(0, length)), 'CORRUPTION', `length ${length}`)
  }
})

test('zeros from any point on give a right prefix, or CORRUPTION', async () => {
  const { disk, appends, lastStart, end } = await smallLog()
  const intact = disk.bytesOf(segmentName(1))
  for (let at = lastStart; at < end; at++) {
    const bytes = intact.slice().fill(0, at)
    const found = await opened(bytes)
    assert.ok(Array.isArray(found))
    assert.deepEqual(found, appends.flat().slice(0, found.length))
    assert.ok(found.length >= 4)
  }
})

test('zeros in the middle are CORRUPTION when a later append is there', async () => {
  const { disk, lastStart } = await smallLog()
  const bytes = disk
    .bytesOf(segmentName(1))
    .slice()
    .fill(0, lastStart - 48, lastStart)
  assert.equal(await opened(bytes), 'CORRUPTION')
})

test('a torn tail is zeroed, synced and told through the logger', async () => {
  const { disk, lastStart, end } = await smallLog()
  const bytes = disk.bytesOf(segmentName(1)).slice()
  bytes[lastStart] ^= 1
  const damaged = new FakeDisk()
  damaged.place(segmentName(1), bytes)
  const told: object[] = []
  const log = await openLog(damaged, {
    logger: { info: assert.fail, warn: details => told.push(details) },
  })
  await log.close()
  const written = damaged.crashPower(() => false).bytesOf(segmentName(1))
  assert.ok(written.subarray(lastStart).every(byte => byte === 0))
  assert.equal(told.length, 1)
  const last = end - 1
  assert.ok(last > lastStart)
  assert.equal((told[0] as { offset: number }).offset, lastStart)
})

async function manySegments(): Promise<FakeDisk> {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  await appendMany(log, 1, 1, 100)
  await log.close()
  return disk
}

test('a missing segment in the middle is CORRUPTION naming it', async () => {
  const disk = await manySegments()
  disk.names.delete(segmentName(2))
  await assert.rejects(openLog(disk), {
    code: 'CORRUPTION',
    details: { file: segmentName(2), offset: 0 },
  })
})

test('a missing oldest segment is CORRUPTION, for its entries were not cut', async () => {
  const disk = await manySegments()
  disk.names.delete(segmentName(1))
  await assert.rejects(openLog(disk), { code: 'CORRUPTION' })
})

test('a damaged or shortened tail of a segment that has a successor is CORRUPTION', async () => {
  for (const from of [3900, 3000, 200]) {
    const disk = await manySegments()
    disk.bytesOf(segmentName(1)).fill(0, from)
    await assert.rejects(openLog(disk), (error: { code: string; details: { file: string } }) => {
      assert.equal(error.code, 'CORRUPTION')
      assert.equal(error.details.file, segmentName(1))
      return true
    })
  }
})

test('an empty newest segment with its name is CORRUPTION, one without is nothing', async () => {
  const disk = await manySegments()
  const next = disk.segmentCount + 1
  disk.place(`${segmentName(next)}.new`, new Uint8Array(8).fill(7))
  const log = await openLog(disk)
  await appendMany(log, 1, 101, 100)
  await log.close()
  const again = await openLog(disk)
  assert.equal((await replayed(again)).length, 200)
  await again.close()
  disk.place(segmentName(disk.segmentCount + 1), new Uint8Array(4096))
  await assert.rejects(openLog(disk), { code: 'CORRUPTION' })
  assert.equal(disk.openFiles, 0)
})

test('a name that a dead process had not synced is synced before the segment is used', async () => {
  const disk = await manySegments()
  const last = disk.segmentCount
  const found = disk.crashProcess()
  found.durableNames.delete(segmentName(last))
  const log = await openLog(found)
  await appendMany(log, 1, 101, 1)
  const again = await openLog(found.crashPower(() => false))
  assert.equal((await replayed(again)).length, 101)
  await again.close()
})
