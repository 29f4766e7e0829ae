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
  /** Whether nothing below can hold it. */
  #isBottom = false

  constructor(
    streams: readonly TableStream[],
    job: CompactionInput,
    store: (table: FinishedTable) => Promise<void>,
    breathe: () => Promise<void> | undefined,
    output: TableOutput,
  ) {
    this.#streams = streams
    this.#below = job.below
    this.#filter = new VersionFilter(job.snapshots)
    this.#store = store
    this.#breathe = breathe
    this.#output = output
  }

  async run(): Promise<void> {
    for (;;) {
      const least = this.#least(undefined)
      if (least === undefined) break
      await this.#drain(least, this.#least(least))
    }
    await this.#finish()
  }

  /** Takes rows from `stream` as long as they come before the next of the others. */
  async #drain(stream: TableStream, second: TableStream | undefined): Promise<void> {
    const { row } = stream
    while (row.valid && (second === undefined || this.#isBefore(stream, second))) {
      if (!this.#isSameKey(row)) {
        this.#beginKey(row)
        if (this.#output.isFull) await this.#finish()
      }
      const { isDelete, sequence } = row
      if (this.#filter.keeps(sequence, isDelete && this.#isBottom)) {
        this.#output.add(this.#view, sequence, isDelete, row.value())
      }
      if (!row.next()) {
        await stream.nextBlock()
        await this.#breathe()
      }
    }
  }

  /** The stream with the next row, `without` one of them; of equal keys the newest. */
  #least(without: TableStream | undefined): TableStream | undefined {
    let least: TableStream | undefined
    for (const stream of this.#streams) {
      if (stream === without || !stream.row.valid) continue
      if (least === undefined || compareRows(stream.row, least.row) < 0) least = stream
    }
    return least
  }

  /** Of equal keys the earlier stream has the newer versions, all of them. */
  #isBefore(stream: TableStream, other: TableStream): boolean {
    const order = compareRows(stream.row, other.row)
    if (order !== 0) return order < 0
    return this.#streams.indexOf(stream) < this.#streams.indexOf(other)
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
    this.#isBottom = !this.#below.some(range => contains(range, this.#view))
  }

  async #finish(): Promise<void> {
    const table = this.#output.finish()
    if (table !== undefined) await this.#store(table)
  }
}

function compareRows(a: BlockCursor, b: BlockCursor): number {
  const { keyBytes: x, keyLength: xLength } = a
  const { keyBytes: y, keyLength: yLength } = b
  const shortest = Math.min(xLength, yLength)
  for (let i = 0; i < shortest; i++) if (x[i] !== y[i]) return x[i] - y[i]
  return xLength - yLength
}

function contains({ smallest, greatest }: KeyRange, key: Uint8Array): boolean {
  return compareBytes(smallest, key) <= 0 && compareBytes(key, greatest) <= 0
}
