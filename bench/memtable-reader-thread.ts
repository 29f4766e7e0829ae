/** Another thread that reads a memtable while the bench's own has it; for memtable.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { Memtable } from '../src/shared/memtable.ts'
import {
  READER_WORD,
  type ReaderAnswer,
  type ReaderData,
  type ReaderRequest,
} from './memtable-reader.ts'
import { MemtableRows } from './memtable-rows.ts'

const { memory, control, partitions } = workerData as ReaderData
const memtable = new Memtable(memory)
const rows = new MemtableRows(partitions)
const isStopped = (): boolean => Atomics.load(control, READER_WORD.isStopped) === 1

function read({ kind, rowCount, count }: ReaderRequest): ReaderAnswer {
  Atomics.store(control, READER_WORD.isReading, 1)
  Atomics.notify(control, READER_WORD.isReading)
  const startedAt = performance.now()
  const { checked, hash } = rows.read(memtable, kind, rowCount, count, isStopped)
  return { elapsedMs: performance.now() - startedAt, checked, hash }
}

parentPort?.on('message', (request: ReaderRequest) => parentPort?.postMessage(read(request)))
