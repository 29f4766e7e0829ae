/**
 * Goal: a full disk stops nothing but what needs room: nothing is lost, nothing is reported durable
 * that is not, the order stays, and all goes on when there is room. Failures other than a lack of
 * room, and every failed sync, end the log as ever.
 * Method: a fake disk of any size in pages, so that it is full at every point; time by hand. Once a
 * real file system, where a user may mount one of his own.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { segmentName } from '../../../src/codec/segment-header.ts'
import type { DiskLog } from '../../../src/main/log/disk-log.ts'
import type { Schedule } from '../../../src/main/log/space-ahead.ts'
import { diskFull, FakeDisk, type Operation } from './fake-disk.ts'
import { appendMany, bytesOf, nextTurn, nextTurnSchedule, openLog, replayed } from './log-driver.ts'

/** Tries again only when told to. */
class Retries {
  readonly delaysMs: number[] = []
  #task: (() => void) | null = null
  readonly schedule: Schedule = (task, delayMs) => {
    assert.equal(this.#task, null)
    this.delaysMs.push(delayMs)
    this.#task = task
    return () => {
      this.#task = null
    }
  }

  get isPending(): boolean {
    return this.#task !== null
  }

  async pending(): Promise<void> {
    while (!this.isPending) await nextTurn()
  }

  run(): void {
    const task = this.#task
    this.#task = null
    assert.ok(task !== null)
    task()
  }
}

class Messages {
  readonly told: string[] = []
  readonly logger = {
    info: (_: object, message: string) => this.told.push(`info: ${message}`),
    warn: (_: object, message: string) => this.told.push(`warn: ${message}`),
  }
}

const FULL = 'warn: the disk of the log is full: waiting for room'
const ROOM = 'info: the disk of the log has room again'

function noRoom(disk: FakeDisk): void {
  disk.capacityBytes = disk.usedBytes
}

function makeRoom(disk: FakeDisk): void {
  disk.capacityBytes = Number.POSITIVE_INFINITY
}

/** Appends entries of 100 bytes until the log says that its disk is full; the last index. */
async function appendUntilFull(log: DiskLog, first: number): Promise<number> {
  let index = first
  while (!log.isFull) {
    log.append(1, 1, index, 0, new Uint8Array(100).fill(120))
    await log.drained()
    // What is ahead is made in the background.
    for (let i = 0; i < 9; i++) await nextTurn()
    index++
  }
  return index - 1
}

test('the disk is full before the log is: what is appended then is still made durable', async () => {
  const disk = new FakeDisk()
  const messages = new Messages()
  const log = await openLog(disk, { logger: messages.logger })
  noRoom(disk)
  const last = await appendUntilFull(log, 1)
  assert.ok(last > 5)
  log.setHardState(1, 2, 3)
  log.append(1, 2, last + 1, 0, bytesOf('a manifest'))
  await log.drained()
  assert.ok(log.isFull)
  assert.deepEqual(messages.told, [FULL])
  await log.close()
  const again = await openLog(disk)
  assert.equal((await replayed(again)).length, last + 1)
  await again.close()
})

test('records without room wait, in order, and can be read; all goes on when there is room', async () => {
  const disk = new FakeDisk()
  const messages = new Messages()
  const retries = new Retries()
  const { schedule } = retries
  const log = await openLog(disk, { logger: messages.logger, schedule })
  const durable: number[] = []
  log.onDurable = ticket => durable.push(ticket)
  noRoom(disk)
  const payload = new Uint8Array(100).fill(1)
  for (let index = 1; index <= 100; index++) log.append(1, 1, index, 0, payload)
  let isDrained = false
  const drained = log.drained().then(() => {
    isDrained = true
  })
  // The first of the segments has room for its records.
  while (durable.length === 0 || !retries.isPending) await nextTurn()
  assert.ok(log.isFull)
  assert.ok(log.pendingBytes > 4096)
  assert.equal(log.entries(1, 1, 101, 1e6).length, 100)
  for (let i = 0; i < 3; i++) {
    retries.run()
    await retries.pending()
  }
  assert.ok(!isDrained)
  assert.ok(durable[durable.length - 1] < 100)
  assert.deepEqual(messages.told, [FULL])

  makeRoom(disk)
  retries.run()
  await drained
  while (log.isFull) await nextTurn()
  assert.equal(log.pendingBytes, 0)
  assert.deepEqual(
    durable,
    durable.toSorted((a, b) => a - b),
  )
  assert.deepEqual(messages.told, [FULL, ROOM])
  assert.ok(!retries.isPending)
  await log.close()
  const again = await openLog(disk)
  const found = await replayed(again)
  assert.deepEqual(
    found.map(text => Number(text.split('/')[2])),
    Array.from({ length: 100 }, (_, i) => i + 1),
  )
  await again.close()
})

test('the log tries again after 100 ms, then ever later up to 2 s, and anew the next time', async () => {
  const disk = new FakeDisk()
  const retries = new Retries()
  const { delaysMs, schedule } = retries
  const log = await openLog(disk, { schedule })
  for (let round = 0; round < 2; round++) {
    noRoom(disk)
    await appendUntilFull(log, log.lastIndex(1) + 1)
    for (let i = 0; i < 6; i++) {
      retries.run()
      await retries.pending()
    }
    assert.deepEqual(delaysMs.splice(0), [100, 200, 400, 800, 1600, 2000, 2000])
    makeRoom(disk)
    retries.run()
    while (log.isFull) await nextTurn()
  }
  await log.close()
})

/** The workload with room for so many pages more, then with room; true if the disk was full. */
async function fullAfter(pages: number, sizeBytes: number, durability: 'fsync' | 'os') {
  const isLarge = sizeBytes > 4096
  const disk = new FakeDisk(isLarge ? 65536 : 64)
  const segmentBytesMax = isLarge ? 2097152 : 4096
  const retries = new Retries()
  const { schedule } = retries
  const options = { durability, segmentBytesMax }
  const log = await openLog(disk, { ...options, schedule })
  let durable = 0
  log.onDurable = ticket => {
    assert.ok(ticket > durable)
    durable = ticket
  }
  disk.capacityBytes = disk.usedBytes + pages * disk.pageBytes
  let isDone = false
  const done = (async () => {
    for (let index = 1; index <= 40; index++) {
      log.append(1, index, index, 0, new Uint8Array(sizeBytes).fill(index))
      if (index % 4 === 0) await log.drained()
    }
    isDone = true
  })()
  while (!isDone && !retries.isPending) await nextTurn()
  const wasFull = retries.isPending
  // What was reported durable until now is on the platter, and no more is needed to read it.
  if (durability === 'fsync') {
    const reported = durable
    const crashed = await openLog(
      disk.copy().crashPower(() => false),
      options,
    )
    assert.ok(crashed.lastIndex(1) >= reported)
    await crashed.close()
  }
  makeRoom(disk)
  if (wasFull) retries.run()
  await done
  assert.equal(durable, 40)
  await log.close()
  const again = await openLog(disk, options)
  const found = again.entries(1, 1, 41, 1e9)
  assert.deepEqual(
    found.map(({ term, index, payload }) => [term, index, payload[0], payload.length]),
    Array.from({ length: 40 }, (_, i) => [i + 1, i + 1, i + 1, sizeBytes]),
  )
  await again.close()
  return wasFull
}

for (const durability of ['fsync', 'os'] as const) {
  test(`a disk that is full at any page of any file is waited for ('${durability}')`, async () => {
    // Small segments: pages of the next segments' files. Large ones: of the zeros, mid-file, too.
    for (const sizeBytes of [200, 100000]) {
      let pages = 0
      while (await fullAfter(pages, sizeBytes, durability)) pages++
      assert.ok(pages > 50, `${pages} points of ${sizeBytes}`)
    }
  })
}

for (const operation of ['open', 'rename'] as const) {
  for (const code of ['ENOSPC', 'EDQUOT']) {
    test(`${code} from ${operation} is waited for as well`, async () => {
      const disk = new FakeDisk()
      const log = await openLog(disk, { schedule: nextTurnSchedule })
      let failures = 0
      disk.fault = failing => (failing === operation && failures++ < 3 ? diskFull(code) : null)
      await appendMany(log, 1, 1, 100)
      assert.ok(failures > 3)
      await log.close()
      const again = await openLog(disk)
      assert.equal((await replayed(again)).length, 100)
      await again.close()
      assert.equal(disk.openFiles, 0)
    })
  }
}

test('a log that has filled its disk by itself goes on once its own segments are not needed', async () => {
  const disk = new FakeDisk()
  const messages = new Messages()
  const { logger } = messages
  const log = await openLog(disk, { logger, schedule: nextTurnSchedule })
  disk.capacityBytes = 6 * 4096
  const last = await appendUntilFull(log, 1)
  assert.ok(last > 100)
  log.cut(1, last, 1)
  await log.drained()
  while (log.isFull) await nextTurn()
  await appendMany(log, 1, last + 1, 40)
  assert.deepEqual(messages.told, [FULL, ROOM])
  await log.close()
})

test('close() on a full disk drops what has no room, says so, and leaves nothing open', async () => {
  const disk = new FakeDisk()
  const fatal: Error[] = []
  const retries = new Retries()
  const { schedule } = retries
  const log = await openLog(disk, { schedule, onFatal: error => fatal.push(error) })
  await appendMany(log, 1, 1, 5)
  noRoom(disk)
  for (let index = 6; index <= 200; index++) log.append(1, 1, index, 0, new Uint8Array(100))
  const refused = assert.rejects(log.drained(), { code: 'UNAVAILABLE', message: /disk was full/ })
  await Promise.all([log.close(), refused])
  await assert.rejects(log.drained(), { code: 'UNAVAILABLE' })
  assert.throws(() => log.append(1, 1, 201, 0, bytesOf('a')), { code: 'CLOSED' })
  assert.equal(disk.openFiles, 0)
  assert.ok(!retries.isPending)
  assert.deepEqual(fatal, [])
  const again = await openLog(disk)
  const count = (await replayed(again)).length
  assert.ok(count >= 5 && count < 200)
  assert.equal(again.lastIndex(1), count)
  await again.close()
})

test('close() on a full disk makes durable what has room', async () => {
  const disk = new FakeDisk()
  const log = await openLog(disk)
  noRoom(disk)
  const last = await appendUntilFull(log, 1)
  log.append(1, 1, last + 1, 0, bytesOf('fits'))
  await log.close()
  const again = await openLog(disk)
  assert.equal(again.lastIndex(1), last + 1)
  await again.close()
})

test('what a power cut took out of the zeros takes room again before records are written', async () => {
  const disk = new FakeDisk(65536)
  const options = { segmentBytesMax: 67108864 }
  const log = await openLog(disk, options)
  log.append(1, 1, 1, 0, new Uint8Array(700000).fill(1))
  await log.drained()
  while (disk.bytesOf(segmentName(1)).length < 9437184) await nextTurn()
  let page = 0
  const found = disk.crashPower(() => page++ % 2 === 0)
  const retries = new Retries()
  const { schedule } = retries
  const again = await openLog(found, { ...options, schedule })
  noRoom(found)
  for (let index = 2; index <= 9; index++) again.append(1, 1, index, 0, new Uint8Array(700000))
  const drained = again.drained()
  await retries.pending()
  makeRoom(found)
  retries.run()
  await drained
  assert.equal(again.entries(1, 1, 10, 1e9).length, 9)
  await again.close()
})

test('a new log on a full disk does not open, and leaves nothing open', async () => {
  const disk = new FakeDisk()
  disk.capacityBytes = 1024
  await assert.rejects(openLog(disk), { code: 'ENOSPC' })
  assert.equal(disk.openFiles, 0)
  makeRoom(disk)
  const log = await openLog(disk)
  await appendMany(log, 1, 1, 10)
  await log.close()
})

/** Fails every such operation on names with this end from now on, but for the first few. */
function failFrom(disk: FakeDisk, operation: Operation, nameEnd: string, error: Error, skip = 0) {
  let left = skip
  disk.fault = (failing, name) =>
    failing === operation && name.endsWith(nameEnd) && left-- <= 0 ? error : null
}

for (const [operation, nameEnd] of [
  ['sync', '.new'],
  ['syncDirectory', '.'],
] as const) {
  test(`a failed ${operation} of a new segment is fatal, a full disk or not`, async () => {
    const disk = new FakeDisk()
    const fatal: Error[] = []
    const retries = new Retries()
    const { schedule } = retries
    const log = await openLog(disk, { schedule, onFatal: error => fatal.push(error) })
    failFrom(disk, operation, nameEnd, diskFull())
    await assert.rejects(appendMany(log, 1, 1, 100), { code: 'UNAVAILABLE' })
    assert.equal(fatal.length, 1)
    assert.ok(!log.isFull)
    assert.ok(!retries.isPending)
    await log.close()
    assert.equal(disk.openFiles, 0)
  })
}

for (const [operation, nameEnd, skip] of [
  ['open', '.new', 0],
  ['write', '.new', 0],
  ['write', '.new', 1],
  ['rename', '.new', 0],
] as const) {
  test(`any other error of ${operation} number ${skip} of a new segment is fatal`, async () => {
    const disk = new FakeDisk()
    const fatal: Error[] = []
    const log = await openLog(disk, { onFatal: error => fatal.push(error) })
    failFrom(disk, operation, nameEnd, new Error('broken disk'), skip)
    await assert.rejects(appendMany(log, 1, 1, 100), { code: 'UNAVAILABLE' })
    assert.equal(fatal.length, 1)
    await log.close()
    assert.equal(disk.openFiles, 0)
  })
}

test('any other error of the zeros ahead is fatal', async () => {
  const disk = new FakeDisk(65536)
  const fatal: Error[] = []
  const onFatal = (error: Error) => fatal.push(error)
  const log = await openLog(disk, { segmentBytesMax: 67108864, onFatal })
  // The next write is the record's own.
  failFrom(disk, 'write', '.log', new Error('broken disk'), 1)
  log.append(1, 1, 1, 0, new Uint8Array(700000))
  await log.drained()
  while (fatal.length === 0) await nextTurn()
  assert.throws(() => log.append(1, 1, 2, 0, bytesOf('a')), { code: 'UNAVAILABLE' })
  await log.close()
  assert.equal(disk.openFiles, 0)
})

test('a real file system that is full is waited for', t => {
  const directory = mkdtempSync(join(tmpdir(), 'disk-full-'))
  try {
    // A namespace of its own: the file system is gone when the process has ended.
    const run = (command: string) =>
      spawnSync(
        'unshare',
        ['-rm', 'sh', '-c', `mount -t tmpfs -o size=6m tmpfs "$0" ${command}`].concat(
          directory,
          process.execPath,
          fileURLToPath(new URL('./full-disk-process.js', import.meta.url)),
        ),
        { encoding: 'utf8', timeout: 30_000 },
      )
    if (run('').status !== 0) return t.skip('this user cannot mount a small file system')
    const { status, stderr } = run('&& exec "$1" "$2" "$0"')
    assert.equal(status, 0, stderr)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
