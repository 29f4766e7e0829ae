/** A node's share of the load: its own partitions and rows, whoever of the nodes leads them. */
import type { Metastore } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import { Committer, EXTENT_OFFSETS } from '../committer.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import { Random } from '../random.ts'
import { BATCH_ROWS, Records } from '../records.ts'
import type { LoadKind } from './node-requests.ts'
import { type Load, type LoadReport, runLoad } from './timed-load.ts'

const EXTENTS_A_COMMIT = 10
const PARTITIONS_PER_DOMAIN = 30
const FILL_IN_FLIGHT = 64
const BATCHES_IN_FLIGHT = 4
/** Rows that are put are numbered from here on, a range a node: others than those of fill(). */
const PUT_ROWS_FROM: number = 2 ** 28
const PUT_ROWS_A_NODE: number = 2 ** 28
/** Of what a load has written, so many rows are read afterwards. */
const CHECKED_ROWS = 200

/** Which of several equal parts is a node's. */
export interface Share {
  of: number
  /** From 0 on. */
  index: number
}

export class NodeLoads {
  readonly #store: Metastore
  readonly #share: Share
  readonly #records: Records
  readonly #random: Random
  readonly #commits: Committer
  /** What `lookups` look for. */
  readonly #extents: Committer
  #filledRows = 0
  #nextRow: number

  constructor(store: Metastore, share: Share) {
    this.#store = store
    this.#share = share
    this.#records = new Records(store)
    this.#random = new Random(1 + share.index)
    const skip = (turn: number): number => (turn * share.of + share.index) * PARTITIONS_PER_DOMAIN
    const partitions = PARTITIONS_PER_DOMAIN
    this.#commits = new Committer(store, partitions, EXTENTS_A_COMMIT, skip(0))
    this.#extents = new Committer(store, partitions, EXTENTS_A_COMMIT, skip(1))
    this.#nextRow = PUT_ROWS_FROM + share.index * PUT_ROWS_A_NODE
  }

  async fill(kind: 'records' | 'extents', rows: number): Promise<void> {
    if (kind === 'records') await this.#fillRecords(rows)
    else await this.#fillExtents(rows)
  }

  /** Every node writes each so-manieth batch. */
  async #fillRecords(rows: number): Promise<void> {
    const { of, index } = this.#share
    const batches = Math.ceil(rows / BATCH_ROWS)
    const own = Math.ceil((batches - index) / of)
    await callInFlight(own, BATCHES_IN_FLIGHT, new Latencies(), i =>
      this.#records.putBatch(index + i * of),
    )
    this.#filledRows = batches * BATCH_ROWS
  }

  async #fillExtents(rows: number): Promise<void> {
    const least = this.#extents.groups.length
    const commits = Math.max(least, Math.ceil(rows / this.#share.of / EXTENTS_A_COMMIT))
    await this.#extents.preregister(commits)
    const answers = new Answers()
    await callInFlight(commits, FILL_IN_FLIGHT, new Latencies(), i =>
      this.#extents.commit(i, answers),
    )
  }

  async preregister(commits: number): Promise<void> {
    await this.#commits.preregister(commits)
  }

  run(kind: LoadKind, load: Load): Promise<LoadReport> {
    if (kind === 'commits') return this.#runCommits(load)
    if (kind === 'puts') return this.#runPuts(load)
    const answers = new Answers()
    const call =
      kind === 'gets'
        ? () => this.#records.checkBatchRow(this.#random.below(this.#filledRows), answers)
        : () => this.#lookUp(answers)
    return runLoad(load, answers, call)
  }

  async #runCommits(load: Load): Promise<LoadReport> {
    const answers = new Answers()
    const report = await runLoad(load, answers, i => this.#commits.commit(i, answers))
    await this.#commits.checkOffsets(answers)
    return { ...report, checked: answers.checked, hash: answers.hash }
  }

  async #runPuts(load: Load): Promise<LoadReport> {
    const answers = new Answers()
    const firstRow = this.#nextRow
    const report = await runLoad(load, answers, i => this.#records.put(firstRow + i))
    this.#nextRow += report.calls
    await this.#records.checkPuts(firstRow, this.#nextRow, answers, CHECKED_ROWS)
    return { ...report, checked: answers.checked, hash: answers.hash }
  }

  async #lookUp(answers: Answers): Promise<void> {
    const { groups } = this.#extents
    const { partitions, objectIds } = groups[this.#random.below(groups.length)]
    const extent = this.#random.below(objectIds.length)
    const baseOffset = extent * EXTENT_OFFSETS
    const found = await this.#store.findByOffset(
      partitions[this.#random.below(partitions.length)],
      baseOffset + this.#random.below(EXTENT_OFFSETS),
    )
    answers.expect(found.baseOffset, baseOffset)
    if (found.objectId !== objectIds[extent]) throw new Error('a wrong answer: another object')
  }
}
