/** The other end of the rings in ring-threads.test.ts. Sleeps by Atomics.wait. */
import { parentPort, workerData } from 'node:worker_threads'
import { Control } from '../../src/shared/control.ts'
import { RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { BatchProducer, drainInto, RecordVerifier, type RingThreadData } from './ring-records.ts'

const { role, toThread, toMain, control, count, seed } = workerData as RingThreadData
const words = new Control(control, 1)
const own = words.workerDoorbell(0)
const other = words.mainDoorbell()
const consumer = new RingConsumer(toThread)
const producer = new RingProducer(toMain)

function consume(): number {
  const verifier = new RecordVerifier(seed)
  while (verifier.received < count) {
    const seen = own.count()
    if (!drainInto(consumer, other, verifier)) own.wait(seen)
  }
  return verifier.received
}

function produce(): number {
  const batches = new BatchProducer(producer, other, count, seed)
  for (;;) {
    const seen = own.count()
    if (batches.run()) return count
    own.wait(seen)
  }
}

function echo(): number {
  let answered = 0
  while (answered < count) {
    const seen = own.count()
    const drained = consumer.drain((bytes, start, end) => {
      if (!producer.push(bytes.subarray(start, end))) throw new Error('the ring is full')
      answered++
    })
    if (drained === 0) own.wait(seen)
    else {
      producer.publish()
      other.ring()
    }
  }
  return answered
}

const run = { consume, produce, echo }[role]
parentPort?.postMessage(run())
