/**
 * The process that is killed: replays a trace into a metastore of its own and reports what was
 * acknowledged, until it dies.
 *
 * An operation stays under way until its report is written. So no more than `inFlight` operations
 * were ever called beyond those the parent has been told of, whenever the kill comes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Metastore } from '../../src/index.ts'
import type { ChildMessage, CrashTask } from './crash-messages.ts'
import { forEachInFlight } from './in-flight.ts'
import { Mismatches } from './mismatches.ts'
import { ObjectIds } from './object-ids.ts'
import { sendOperation } from './outcome.ts'
import { operationName } from './replaying.ts'
import { readTrace } from './trace.ts'
import { metastoreOptions } from './workspace.ts'

const REPORT_INTERVAL_MS = 2

/** Resolves when the message is written: what a killed process has written is still read. */
function tell(message: ChildMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) throw new Error('this runs as a child process only')
    process.send(message, (error: Error | null) => (error === null ? resolve() : reject(error)))
  })
}

/** Collects for a few milliseconds and reports together. */
class Reporter {
  #indexes: number[] = []
  #mismatches = new Mismatches()
  #written: Promise<void> | undefined

  get mismatches(): Mismatches {
    return this.#mismatches
  }

  /** Resolves when the report is written. */
  acknowledged(index: number): Promise<void> {
    this.#indexes.push(index)
    this.#written ??= this.#report()
    return this.#written
  }

  async #report(): Promise<void> {
    await sleep(REPORT_INTERVAL_MS)
    const [indexes, mismatches] = [this.#indexes, this.#mismatches.list]
    this.#indexes = []
    this.#mismatches = new Mismatches()
    this.#written = undefined
    await tell({ type: 'acknowledged', indexes, mismatches })
  }
}

async function replayUntilKilled(task: CrashTask): Promise<void> {
  const { header, operations } = readTrace(task.traceFolder, task.operationsMax)
  const options = metastoreOptions(task.folder, task)
  const metastore = await Metastore.open({ ...options, partitions: header.partitions })
  const ids = await ObjectIds.preregister(metastore, operations)
  await tell({ type: 'ids', ids: ids.entries() })
  const reporter = new Reporter()
  await forEachInFlight(operations.length, task.inFlight, async index => {
    const outcome = await sendOperation(metastore, ids, operations[index])
    const where = `child: ${operationName(operations, index)}`
    reporter.mismatches.expect(where, outcome, operations[index].expect)
    await reporter.acknowledged(index)
  })
}

// A child whose parent is gone has nobody to report to, and nobody to kill it.
process.once('disconnect', () => process.exit(1))
await replayUntilKilled(JSON.parse(process.argv[2]))
