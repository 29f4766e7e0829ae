/**
 * The thread of a partition worker: a synchronous loop that works (partition-loop.ts) and sleeps on
 * its doorbell. It never returns to its event loop until it is told to stop.
 */
import { randomFillSync } from 'node:crypto'
import { workerData } from 'node:worker_threads'
import { stampVersion4, UUID_BYTES } from '../codec/uuid.ts'
import { Control } from '../shared/control.ts'
import type { PartitionWorkerData } from '../shared/worker-data.ts'
import { PartitionLoop } from './partition-loop.ts'

/** Looks at an empty ring before sleeping: some 20 µs; waking up costs twice that and more. */
const SPINS = 2000
/** How long to sleep when a ring is full or a memtable has to come: both end by themselves. */
const PAUSE_MS = 1

/** Until main says stop. */
function run(data: PartitionWorkerData): void {
  const doorbell = new Control(data.control, data.workers).workerDoorbell(data.worker)
  const waitForMain = (seen: number): void => doorbell.wait(seen, PAUSE_MS)
  const loop = new PartitionLoop({ data, newId: randomIds(), waitForMain })
  while (!loop.isStopping) {
    const seen = doorbell.count()
    if (!loop.work() && !isSoonBusy(loop)) doorbell.wait(seen)
  }
  loop.close()
}

function isSoonBusy(loop: PartitionLoop): boolean {
  for (let spins = 0; spins < SPINS; spins++) if (!loop.isIdle) return true
  return false
}

/** Random UUIDs from a pool: one system call for many. */
function randomIds(): (into: Uint8Array) => void {
  const pool = new Uint8Array(UUID_BYTES * 256)
  let at = pool.length
  return into => {
    if (at === pool.length) {
      randomFillSync(pool)
      at = 0
    }
    for (let i = 0; i < UUID_BYTES; i++) into[i] = pool[at + i]
    at += UUID_BYTES
    stampVersion4(into)
  }
}

run(workerData as PartitionWorkerData)
