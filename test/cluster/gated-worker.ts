/** A partition worker like any other, but that it stands still while its gate is closed. */
import { workerData } from 'node:worker_threads'
import { PartitionLoop } from '../../src/workers/partition-loop.ts'
import { GATE_CLOSED, type GatedWorkerData } from './worker-gate.ts'

const { gate } = workerData as GatedWorkerData
const { work } = PartitionLoop.prototype

PartitionLoop.prototype.work = function (this: PartitionLoop): boolean {
  Atomics.wait(gate, 0, GATE_CLOSED)
  return work.call(this)
}

await import('../../src/workers/partition-worker.ts')
