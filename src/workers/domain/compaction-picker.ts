/**
 * Picks what to compact: a pure function of a manifest. Leveled, as LevelDB's picker with RocksDB's
 * scores: level 0 by its number of tables, every further level by its bytes over its target, which
 * grows tenfold from level to level. The highest score of at least 1 wins. From level 0 all tables
 * go, so that no older version of a key can come to stand above a newer one; from a deeper level
 * the next table after the level's cursor, so that the work goes round its keys.
 */
import { compareBytes } from '../../codec/bytes.ts'
import type { Manifest, TableDescription } from '../../codec/manifest.ts'
import type { KeyRange } from '../../shared/io-tasks.ts'

/** Tables of level 0 that start a compaction. */
const L0_TABLES = 4
const L1_BYTES = 64 * 1024 * 1024
const LEVEL_GROWTH = 10
const LEVEL_MAX = 6

/** The part of a manifest that compaction is about. */
export type LevelState = Pick<Manifest, 'tables' | 'compactionCursors'>

export interface CompactionJob {
  level: number
  outputLevel: number
  /** Newest first: those of `level`, then those of the output level. */
  inputs: TableDescription[]
  /** The inputs overlap neither one another nor anything in the output level: they move as is. */
  isMove: boolean
  /** Key ranges of tables below the output level: a delete of a key outside of all may go. */
  below: KeyRange[]
  /** What the level's cursor becomes. */
  cursor: Uint8Array
}

/** The next job; undefined while every level is within its target. */
export function pickCompaction(state: LevelState): CompactionJob | undefined {
  let level = -1
  let highest = 1
  for (let candidate = 0; candidate < LEVEL_MAX; candidate++) {
    const score = scoreOf(state.tables, candidate)
    if (score >= highest && (level < 0 || score > highest)) {
      level = candidate
      highest = score
    }
  }
  if (level < 0) return undefined
  const sources = level === 0 ? tablesOf(state.tables, 0) : [nextTable(state, level)]
  return jobOf(state.tables, sources, level, level + 1)
}

/**
 * Everything into the deepest level in use. Undefined when all tables are in one level below 0
 * already and none has a delete: then at most versions that a snapshot has needed could go.
 */
export function pickFullCompaction({ tables }: LevelState): CompactionJob | undefined {
  if (tables.length === 0) return undefined
  const deepest = Math.max(1, ...tables.map(({ level }) => level))
  const isMerged = tables.every(({ level, deletes }) => level === deepest && deletes === 0)
  if (isMerged) return undefined
  return {
    level: tables[0].level,
    outputLevel: deepest,
    inputs: [...tables],
    isMove: false,
    below: [],
    cursor: EMPTY,
  }
}

/** The levels after a job: `outputs` in the place of its inputs. */
export function applyCompaction(
  { tables, compactionCursors }: LevelState,
  job: CompactionJob,
  outputs: readonly TableDescription[],
): LevelState {
  const gone = new Set(job.inputs.map(nameOf))
  const present = new Set(tables.map(nameOf))
  for (const name of gone) if (!present.has(name)) throw new Error(`${name} is in no level`)
  const moved = job.isMove ? job.inputs.map(table => ({ ...table, level: job.outputLevel })) : []
  const kept = tables.filter(table => !gone.has(nameOf(table)))
  const cursors = Array.from(
    { length: Math.max(compactionCursors.length, job.level + 1) },
    (_, level) => (level === job.level ? job.cursor : (compactionCursors[level] ?? EMPTY)),
  )
  return { tables: inOrder([...kept, ...moved, ...outputs]), compactionCursors: cursors }
}

/** The levels after a flush; both newest first. */
export function addFlushed(
  tables: readonly TableDescription[],
  flushed: readonly TableDescription[],
): TableDescription[] {
  return [...flushed, ...tables]
}

const EMPTY: Uint8Array = new Uint8Array(0)

function scoreOf(tables: readonly TableDescription[], level: number): number {
  const own = tablesOf(tables, level)
  if (level === 0) return own.length / L0_TABLES
  const sizeBytes = own.reduce((sum, table) => sum + table.sizeBytes, 0)
  return sizeBytes / (L1_BYTES * LEVEL_GROWTH ** (level - 1))
}

function tablesOf(tables: readonly TableDescription[], level: number): TableDescription[] {
  return tables.filter(table => table.level === level)
}

/** The first table past the level's cursor, or the first of all. */
function nextTable({ tables, compactionCursors }: LevelState, level: number): TableDescription {
  const own = tablesOf(tables, level)
  const cursor = compactionCursors[level] ?? EMPTY
  if (cursor.length === 0) return own[0]
  return own.find(table => compareBytes(table.smallestKey, cursor) > 0) ?? own[0]
}

function jobOf(
  tables: readonly TableDescription[],
  sources: TableDescription[],
  level: number,
  outputLevel: number,
): CompactionJob {
  const range = rangeOf(sources)
  const overlapped = tablesOf(tables, outputLevel).filter(table => overlaps(table, range))
  const inputs = [...sources, ...overlapped]
  const whole = rangeOf(inputs)
  const below = tables
    .filter(table => table.level > outputLevel && overlaps(table, whole))
    .map(({ smallestKey, greatestKey }) => ({ smallest: smallestKey, greatest: greatestKey }))
  const isMove = overlapped.length === 0 && areDisjoint(sources)
  return { level, outputLevel, inputs, isMove, below, cursor: range.greatest }
}

function rangeOf(tables: readonly TableDescription[]): KeyRange {
  let [{ smallestKey: smallest, greatestKey: greatest }] = tables
  for (const table of tables) {
    if (compareBytes(table.smallestKey, smallest) < 0) smallest = table.smallestKey
    if (compareBytes(table.greatestKey, greatest) > 0) greatest = table.greatestKey
  }
  return { smallest, greatest }
}

function areDisjoint(tables: readonly TableDescription[]): boolean {
  const sorted = [...tables].sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
  return sorted.every(
    ({ smallestKey }, i) => i === 0 || compareBytes(sorted[i - 1].greatestKey, smallestKey) < 0,
  )
}

function overlaps(table: TableDescription, { smallest, greatest }: KeyRange): boolean {
  return (
    compareBytes(table.smallestKey, greatest) <= 0 && compareBytes(table.greatestKey, smallest) >= 0
  )
}

function nameOf({ domain, epoch, id }: TableDescription): string {
  return `${domain}/${epoch}/${id}`
}

/** By level; level 0 keeps its order, the others are by key. */
function inOrder(tables: readonly TableDescription[]): TableDescription[] {
  return [...tables].sort(
    (a, b) => a.level - b.level || (a.level === 0 ? 0 : compareBytes(a.smallestKey, b.smallestKey)),
  )
}
