/**
 * A compaction's work: merges tables into tables of one level, dropping versions and deletes that
 * nobody can see (version-filter.ts). A job that fails or is cancelled has made objects that
 * nothing refers to, and nothing else.
 */
import { compareBytes } from '../../codec/bytes.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import type { BlockCursor } from '../../codec/table/block-cursor.ts'
import type { KeyRange, TableNaming } from '../../shared/io-tasks.ts'
import type { FetchContext } from './table-fetch.ts'
import { type FinishedTable, TableOutput } from './table-output.ts'
import { TableStream } from './table-stream.ts'
import { VersionFilter } from './version-filter.ts'

export interface CompactionInput extends TableNaming {
  /** By level; those of level 0 newest first, those of the others by key. */
  inputs: readonly TableDescription[]
  outputLevel: number
  /** Key ranges of tables below the output level: a delete of a key outside of all may go. */
  below: readonly KeyRange[]
  snapshots: readonly number[]
}

/**
 * @param store puts a finished table where it belongs, before the next one is begun
 * @param breathe gives the thread's other tasks a turn now and then; called once a block
 */
export async function compactTables(
  context: FetchContext,
  job: CompactionInput,
  store: (table: FinishedTable) => Promise<void>,
  breathe: () => Promise<void> | undefined,
  output: TableOutput = new TableOutput(job, job.outputLevel),
): Promise<void> {
  const streams: TableStream[] = []
  try {
    for (const run of runsOf(job.inputs)) streams.push(await TableStream.open(context, run))
    await new Merge(streams, job, store, breathe, output).run()
  } finally {
    for (const stream of streams) stream.close()
  }
}

/** Newest first: each table of level 0 for itself, those of a deeper level one after the other. */
function runsOf(inputs: readonly TableDescription[]): TableDescription[][] {
  const runs: TableDescription[][] = []
  for (const table of inputs) {
    const last = runs.at(-1)
    if (last === undefined || table.level === 0 || last[0].level !== table.level) runs.push([table])
    else last.push(table)
  }
  return runs
}

class Merge {
  readonly #streams: readonly TableStream[]
  readonly #below: readonly KeyRange[]
  readonly #filter: VersionFilter
  readonly #store: (table: FinishedTable) => Promise<void>
  readonly #breathe: () => Promise<void> | undefined
  readonly #output: TableOutput
  /** The key whose versions are being passed on. */
  #key: Uint8Array = new Uint8Array(256)
  #keyLength = -1
  #view: Uint8Array = this.#key
  /** The first of the sorted ranges below that does not end before the key. */
  #range = 0

  constructor(
    streams: readonly TableStream[],
    job: CompactionInput,
    store: (table: FinishedTable) => Promise<void>,
    breathe: () => Promise<void> | undefined,
    output: TableOutput,
  ) {
    this.#streams = streams
    this.#below = [...job.below].sort((a, b) => compareBytes(a.greatest, b.greatest))
    this.#filter = new VersionFilter(job.snapshots)
    this.#store = store
    this.#breathe = breathe
    this.#output = output
  }

  async run(): Promise<void> {
    // By their present rows; the first has the next one.
    const order = this.#streams.filter(({ row }) => row.valid).map(toSource)
    order.sort(compareSources)
    while (order.length > 0) {
      const [source] = order
      const { row } = source.stream
      if (!this.#isSameKey(row)) {
        this.#beginKey(row)
        if (this.#output.isFull) await this.#finish()
      }
      this.#pass(row)
      if (!row.next()) {
        await source.stream.nextBlock()
        await this.#breathe()
      }
      if (row.valid) settle(order)
      else order.shift()
    }
    await this.#finish()
  }

  #pass(row: BlockCursor): void {
    const { isDelete, sequence } = row
    if (this.#filter.keeps(sequence, isDelete && this.#isBottom())) {
      this.#output.add(this.#view, sequence, isDelete, row.value())
    }
  }

  #isSameKey(row: BlockCursor): boolean {
    return row.keyLength === this.#keyLength && row.compareKey(this.#view) === 0
  }

  #beginKey({ keyBytes, keyLength }: BlockCursor): void {
    if (keyLength > this.#key.length) this.#key = new Uint8Array(keyLength * 2)
    for (let i = 0; i < keyLength; i++) this.#key[i] = keyBytes[i]
    if (keyLength !== this.#keyLength || this.#view.buffer !== this.#key.buffer) {
      this.#view = this.#key.subarray(0, keyLength)
    }
    this.#keyLength = keyLength
    this.#filter.beginKey()
  }

  /** Whether nothing below can hold the key. Keys ascend, so ranges that end before it are done. */
  #isBottom(): boolean {
    const ranges = this.#below
    while (
      this.#range < ranges.length &&
      compareBytes(ranges[this.#range].greatest, this.#view) < 0
    ) {
      this.#range++
    }
    // Ranges of several levels overlap: any of the rest may begin at or before the key.
    for (let i = this.#range; i < ranges.length; i++) {
      if (compareBytes(ranges[i].smallest, this.#view) <= 0) return false
    }
    return true
  }

  async #finish(): Promise<void> {
    const table = this.#output.finish()
    if (table !== undefined) await this.#store(table)
  }
}

/** A stream and its place: of equal keys the one before has the newer versions, all of them. */
interface Source {
  stream: TableStream
  rank: number
}

function toSource(stream: TableStream, rank: number): Source {
  return { stream, rank }
}

function compareSources(a: Source, b: Source): number {
  return compareRows(a.stream.row, b.stream.row) || a.rank - b.rank
}

/** The first has moved on: to its new place, near the front more often than not. */
function settle(order: Source[]): void {
  const [source] = order
  let at = 1
  while (at < order.length && compareSources(order[at], source) < 0) {
    order[at - 1] = order[at]
    at++
  }
  order[at - 1] = source
}

function compareRows(a: BlockCursor, b: BlockCursor): number {
  const { keyBytes: x, keyLength: xLength } = a
  const { keyBytes: y, keyLength: yLength } = b
  const shortest = Math.min(xLength, yLength)
  for (let i = 0; i < shortest; i++) if (x[i] !== y[i]) return x[i] - y[i]
  return xLength - yLength
}
