/**
 * Goal: what DiskLog promises its caller, failures included.
 * Method: a log of 4 KiB segments on a fake disk that counts and refuses; one run on a real one.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { segmentName } from '../../../src/codec/segment-header.ts'
import { DiskLog } from '../../../src/main/log/disk-log.ts'
import { FakeDisk } from './fake-disk.ts'
import { appendMany, bytesOf, nextTurn, openLog, replayed } from './log-driver.ts'

test('entries, hard state and cuts of several groups are there after a reopen', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.append(1, 1, 1, 0, bytesOf('a'))
  log.append(2, 1, 1, 3, bytesOf(''))
  log.append(1, 2, 2, 0, bytesOf('b'))
  log.setHardState(2, 5, 3)
  log.cut(1, 1, 1)
  await log.close()
  const again = await openLog(disk)
  assert.deepEqual(await replayed(again), ['2/1/1/3:', '1/2/2/0:b'])
  assert.deepEqual(again.groups(), [
    {
      group: 1,
      term: 0,
      vote: 0,
      firstIndex: 2,
      lastIndex: 2,
      lastTerm: 2,
      cutIndex: 1,
      cutTerm: 1,
      configuration: undefined,
    },
    {
      group: 2,
      term: 5,
      vote: 3,
      firstIndex: 1,
      lastIndex: 1,
      lastTerm: 1,
      cutIndex: 0,
      cutTerm: 0,
      configuration: undefined,
    },
  ])
  await again.close()
})

test('a log on a real directory survives a reopen, segments and all', async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'disk-log-'))
  try {
    const directory = path.join(root, 'a', 'log')
    const options = { directory, durability: 'fsync', segmentBytesMax: 4096 } as const
    const log = await DiskLog.open({ ...options, onFatal: assert.fail })
    await appendMany(log, 1, 1, 100)
    const before = log.entries(1, 1, 101, 1e6)
    await log.close()
    assert.ok((await readdir(directory)).length > 3)
    const again = await DiskLog.open({ ...options, onFatal: assert.fail })
    assert.equal((await replayed(again)).length, 100)
    assert.deepEqual(again.entries(1, 1, 101, 1e6), before)
    await again.close()
  } finally {
    await rm(root, { recursive: true })
  }
})

test('appends during a write go out together in the next one', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  const tickets: number[] = []
  log.onDurable = ticket => tickets.push(ticket)
  const syncsBefore = disk.syncs
  log.append(1, 1, 1, 0, bytesOf('a'))
  log.flush()
  for (let index = 2; index <= 20; index++) {
    log.append(1, 1, index, 0, bytesOf('b'))
    log.flush()
  }
  await log.drained()
  assert.equal(disk.syncs - syncsBefore, 2)
  assert.deepEqual(tickets, [1, 20])
  assert.equal(log.pendingBytes, 0)
  await log.close()
})

test('nothing is written before flush()', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  const writesBefore = disk.writes
  log.append(1, 1, 1, 0, bytesOf('abc'))
  await nextTurn()
  assert.equal(disk.writes, writesBefore)
  assert.equal(log.pendingBytes, 48)
  await log.close()
})

test('an entry replaces the one with its index and all after it', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  for (let index = 1; index <= 4; index++) log.append(1, 1, index, 0, bytesOf('old'))
  await log.drained()
  log.append(1, 2, 2, 0, bytesOf('new'))
  assert.equal(log.groupBytes(1), 96)
  assert.equal(log.groups()[0].lastIndex, 2)
  await log.close()
  const again = await openLog(disk)
  assert.deepEqual(await replayed(again), ['1/1/1/0:old', '1/2/2/0:new'])
  assert.equal(again.groups()[0].lastTerm, 2)
  assert.equal(again.groupBytes(1), 96)
  await again.close()
})

test('an entry that leaves a gap or was cut throws and changes nothing', async () => {
  const log = await openLog(new FakeDisk())
  log.append(1, 1, 1, 0, bytesOf('a'))
  log.append(1, 1, 2, 0, bytesOf('b'))
  log.cut(1, 1, 1)
  assert.throws(() => log.append(1, 1, 4, 0, bytesOf('d')), RangeError)
  assert.throws(() => log.append(1, 1, 1, 0, bytesOf('a')), RangeError)
  assert.throws(() => log.entries(1, 1, 3, 100), RangeError)
  assert.equal(log.groups()[0].lastIndex, 2)
  await log.close()
})

test('a cut past the end is a snapshot: the log goes on after it', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.append(1, 1, 1, 0, bytesOf('a'))
  log.cut(1, 50, 7)
  log.append(1, 7, 51, 0, bytesOf('b'))
  await log.close()
  const again = await openLog(disk)
  assert.deepEqual(await replayed(again), ['1/7/51/0:b'])
  await again.close()
})

test('a cut of another term drops the entries after it, also after a reopen', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  for (let index = 1; index <= 4; index++) log.append(1, 1, index, 0, bytesOf('a'))
  log.cut(1, 2, 3)
  assert.equal(log.groups()[0].lastIndex, 2)
  await log.close()
  const again = await openLog(disk)
  assert.deepEqual(await replayed(again), [])
  assert.equal(again.groups()[0].lastTerm, 3)
  await again.close()
})

test('entries() reads back what is durable, in flight and only appended', async () => {
  const log = await openLog(new FakeDisk())
  await appendMany(log, 1, 1, 60)
  log.append(1, 2, 61, 0, bytesOf('in flight'))
  log.flush()
  log.append(1, 2, 62, 5, bytesOf('appended'))
  const found = log.entries(1, 1, 100, 1e6)
  assert.deepEqual(
    found.map(entry => entry.index),
    Array.from({ length: 62 }, (_, i) => i + 1),
  )
  assert.deepEqual(found[60].payload, bytesOf('in flight'))
  assert.deepEqual(found[61], {
    group: 1,
    term: 2,
    index: 62,
    kind: 5,
    payload: bytesOf('appended'),
  })
  assert.equal(log.entries(1, 1, 100, 250).length, 2)
  assert.equal(log.entries(1, 1, 100, 0).length, 1)
  assert.deepEqual(log.entries(9, 1, 100, 100), [])
  await log.close()
})

test('hard state and cut survive the removal of the segments that held them', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.setHardState(1, 9, 2)
  log.append(2, 1, 1, 0, bytesOf('kept group'))
  await appendMany(log, 1, 1, 100)
  const sizeBytes = log.sizeBytes
  log.cut(2, 1, 1)
  log.cut(1, 99, 1)
  await log.drained()
  // Removal goes on in the background, a segment at a time.
  while (disk.segmentCount > 1) await nextTurn()
  assert.ok(log.sizeBytes < sizeBytes / 2)
  await log.close()
  assert.ok(!disk.names.has(segmentName(1)))
  const again = await openLog(disk)
  const [first, second] = again.groups()
  assert.deepEqual([first.term, first.vote, first.cutIndex, first.lastIndex], [9, 2, 99, 100])
  assert.deepEqual([second.cutIndex, second.lastIndex], [1, 1])
  assert.equal((await replayed(again)).length, 1)
  await again.close()
})

test('a segment with one live entry stays, and so do all after it', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.append(2, 1, 1, 0, bytesOf('holds the first segment'))
  await appendMany(log, 1, 1, 100)
  const count = disk.segmentCount
  log.cut(1, 100, 1)
  await log.drained()
  await log.close()
  assert.equal(disk.segmentCount, count)
})

test('a record larger than a segment gets a segment of its own', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.append(1, 1, 1, 0, bytesOf('a'))
  log.append(1, 1, 2, 0, new Uint8Array(20000).fill(65))
  log.append(1, 1, 3, 0, bytesOf('c'))
  await log.close()
  assert.equal(disk.segmentCount, 3)
  const again = await openLog(disk)
  assert.deepEqual(
    (await replayed(again)).map(text => text.length),
    [9, 20008, 9],
  )
  await again.close()
})

test('replay waits for a visitor that returns a promise', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  await appendMany(log, 1, 1, 50)
  await log.close()
  const again = await openLog(disk)
  let underWay = 0
  let visits = 0
  await again.replay(async () => {
    assert.equal(++underWay, 1)
    await nextTurn()
    underWay--
    visits++
  })
  assert.equal(visits, 50)
  await again.close()
})

// A full disk is waited for only where no record is written yet: disk-full.test.ts.
for (const operation of ['write', 'sync'] as const) {
  test(`a failed ${operation} is fatal, told once, and never tried again`, async () => {
    const disk = new FakeDisk()
    const fatal: Error[] = []
    const log = await openLog(disk, { onFatal: error => fatal.push(error) })
    const durable: number[] = []
    log.onDurable = ticket => durable.push(ticket)
    const cause = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    disk.fault = failing => (failing === operation ? cause : null)
    log.append(1, 1, 1, 0, bytesOf('a'))
    log.flush()
    log.append(1, 1, 2, 0, bytesOf('b'))
    await assert.rejects(log.drained(), { code: 'UNAVAILABLE' })
    disk.fault = () => null
    const { writes, syncs } = disk
    log.flush()
    assert.throws(() => log.append(1, 1, 3, 0, bytesOf('c')), { code: 'UNAVAILABLE' })
    assert.throws(() => log.setHardState(1, 1, 1), { code: 'UNAVAILABLE' })
    await assert.rejects(log.drained(), { code: 'UNAVAILABLE' })
    assert.deepEqual([disk.writes, disk.syncs], [writes, syncs])
    assert.equal(fatal.length, 1)
    assert.match(fatal[0].message, /ENOSPC/)
    assert.deepEqual(durable, [])
    assert.equal(log.entries(1, 1, 3, 1000).length, 2)
    await log.close()
    assert.equal(disk.openFiles, 0)
  })
}

test('a failure while a new segment is created is fatal as well', async () => {
  const disk = new FakeDisk()
  const fatal: Error[] = []
  const log = await openLog(disk, { onFatal: error => fatal.push(error) })
  disk.fault = (_, name) => (name.endsWith('.new') ? new Error('broken disk') : null)
  await assert.rejects(appendMany(log, 1, 1, 100), { code: 'UNAVAILABLE' })
  assert.equal(fatal.length, 1)
  await log.close()
  assert.equal(disk.openFiles, 0)
})

test('close() drains, may be called again, and everything afterwards is CLOSED', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  log.append(1, 1, 1, 0, bytesOf('a'))
  const closing = log.close()
  assert.throws(() => log.append(1, 1, 2, 0, bytesOf('b')), { code: 'CLOSED' })
  await Promise.all([closing, log.close()])
  assert.throws(() => log.entries(1, 1, 2, 10), { code: 'CLOSED' })
  assert.equal(disk.openFiles, 0)
  const again = await openLog(disk)
  assert.deepEqual(await replayed(again), ['1/1/1/0:a'])
  await again.close()
})

test('an open log and a closed one hold no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = timers()
  const log = await openLog(new FakeDisk())
  await appendMany(log, 1, 1, 10)
  assert.equal(timers(), before)
  await log.close()
  assert.equal(timers(), before)
})

test("durability 'os' syncs no round, only what recovery relies on", async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk, { durability: 'os' })
  const syncsBefore = disk.syncs
  for (let index = 1; index <= 10; index++) await appendMany(log, 1, index, 1)
  assert.equal(disk.syncs, syncsBefore)
  await log.close()
})

test('a segment size that is no multiple of 8 or out of range is refused', async () => {
  for (const segmentBytesMax of [1024, 4097, 2 ** 32, Number.NaN]) {
    await assert.rejects(openLog(new FakeDisk(), { segmentBytesMax }), RangeError)
  }
})

test('a small log stays at its first MiB; a growing one gets 8 MiB of zeros ahead', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk, { segmentBytesMax: 67108864 })
  const sizeBytes = () => disk.bytesOf(segmentName(1)).length
  await appendMany(log, 1, 1, 100)
  assert.equal(sizeBytes(), 1048576)
  log.append(1, 1, 101, 0, new Uint8Array(600000).fill(1))
  await log.drained()
  while (sizeBytes() < 9437184) await nextTurn()
  await log.close()
  assert.equal(sizeBytes(), 9437184)
})

test('zeros that are still being written never land on records', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk, { segmentBytesMax: 67108864 })
  const payload = new Uint8Array(700000).fill(1)
  for (let index = 1; index <= 40; index++) {
    log.append(1, 1, index, 0, payload)
    log.flush()
    if (index % 3 === 0) await nextTurn()
  }
  await log.close()
  const again = await openLog(disk, { segmentBytesMax: 67108864 })
  assert.equal((await replayed(again)).length, 40)
  await again.close()
})

test('a window of entries that moves on for long is always readable', async () => {
  const log = await openLog(new FakeDisk())
  for (let index = 1; index <= 1000; index++) {
    log.append(1, index, index, 0, bytesOf(String(index)))
    if (index > 70) log.cut(1, index - 70, index - 70)
    if (index % 50 === 0) await log.drained()
  }
  const found = log.entries(1, 931, 1001, 1e6)
  assert.deepEqual(
    found.map(entry => `${entry.term}:${new TextDecoder().decode(entry.payload)}`),
    Array.from({ length: 70 }, (_, i) => `${i + 931}:${i + 931}`),
  )
  assert.equal(log.groupBytes(1), 70 * 48)
  await log.close()
})
