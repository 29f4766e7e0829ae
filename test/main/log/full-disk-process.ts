/**
 * A process for disk-full.test.ts: a log in the directory given, on a small file system that is
 * filled up and given room again. It ends with an error if anything is not as it should be.
 */
import assert from 'node:assert/strict'
import { statfsSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DiskLog } from '../../../src/main/log/disk-log.ts'

const directory = process.argv[2]
const ballast = join(directory, 'ballast')
const options = {
  directory: join(directory, 'log'),
  durability: 'fsync',
  segmentBytesMax: 2097152,
  onFatal: (error: Error) => assert.fail(error),
} as const

// The log's own timer does not keep a process alive.
const alive = setInterval(() => {}, 1000)
const log = await DiskLog.open(options)
const { bavail, bsize } = statfsSync(directory)
writeFileSync(ballast, new Uint8Array(bavail * bsize - 1048576).fill(1))
let durable = 0
log.onDurable = ticket => {
  durable = ticket
}
for (let index = 1; index <= 40; index++) {
  log.append(1, index, index, 0, new Uint8Array(100000).fill(index))
  log.flush()
  await sleep(2)
}
while (!log.isFull) await sleep(1)
await sleep(150)
assert.ok(durable > 0 && durable < 40)
assert.equal(log.entries(1, 1, 41, 1e9).length, 40)
unlinkSync(ballast)
await log.drained()
while (log.isFull) await sleep(1)
await log.close()

const again = await DiskLog.open(options)
assert.deepEqual(
  again.entries(1, 1, 41, 1e9).map(({ term, payload }) => [term, payload[0], payload.length]),
  Array.from({ length: 40 }, (_, i) => [i + 1, i + 1, 100000]),
)
await again.close()
clearInterval(alive)
