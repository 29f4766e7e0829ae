/** A trace of commits: its operations in order, and the right answers after the last one. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type {
  CompactionUpdate,
  NewObject,
  PartitionEpoch,
  PartitionTerms,
  TopicPartition,
} from '../../src/index.ts'

export interface TraceHeader {
  format: string
  /** Metastore partitions the trace was made for; every object's extents are of one of them. */
  partitions: number
}

/** An object by its name in the trace; its id is to be preregistered near `near`. */
export type TraceObject = Omit<NewObject, 'objectId'> & { object: string; near: TopicPartition }

export type TraceOperation = { expect: unknown } & (
  | { op: 'add'; objects: TraceObject[]; terms: PartitionTerms[] }
  | { op: 'replace'; objects: TraceObject[]; expectedEpochs: PartitionEpoch[] }
  | { op: 'compact'; objects: TraceObject[]; updates: CompactionUpdate[] }
  | { op: 'setStartOffset'; topicPartition: TopicPartition; offset: number }
  | { op: 'removeTopics'; topicIds: string[] }
)

export interface TraceQuery {
  topicPartition: TopicPartition
  call: string
  offset?: number
  bytes?: number
  term?: number
  timestamp?: number
  minOffset?: number
  tombstoneRemovalBound?: number
  answer: unknown
}

export interface TopicPartitionOffset {
  topicPartition: TopicPartition
  offset: number
}

export interface PartitionAnswer {
  topicPartition: TopicPartition
  startOffset: number
  nextOffset: number
  sizeBytes: number
  extentCount: number
}

export interface TraceAnswers {
  partitions: PartitionAnswer[]
  queries: TraceQuery[]
}

export interface Trace {
  header: TraceHeader
  operations: TraceOperation[]
}

const FORMAT = 'waymark-trace-1'
const TRACE_FILE = 'commits.ndjson.gz'
const ANSWERS_FILE = 'commits.answers.json.gz'
/** From the project root, best first. */
const FOLDERS = ['../shared/data', 'examples/replay/data']

/** The folder of the trace to use when none is asked for. Compiled files know no other way to it. */
export function findTraceFolder(): string {
  const root = projectRoot(import.meta.dirname)
  const folder = FOLDERS.map(path => join(root, path)).find(path =>
    existsSync(join(path, TRACE_FILE)),
  )
  if (folder === undefined) throw new Error(`no trace in ${FOLDERS.join(' or ')} of ${root}`)
  return relative(process.cwd(), folder)
}

function projectRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error('no parent folder has a package.json')
  return projectRoot(parent)
}

/** The first `operationsMax` operations of a folder's trace. */
export function readTrace(folder: string, operationsMax: number = Number.POSITIVE_INFINITY): Trace {
  const lines = gunzipped(join(folder, TRACE_FILE)).trimEnd().split('\n')
  const header: TraceHeader = JSON.parse(lines[0])
  if (header.format !== FORMAT) throw new Error(`${folder} has no trace of format ${FORMAT}`)
  return {
    header,
    operations: lines.slice(1, 1 + operationsMax).map(line => JSON.parse(line)),
  }
}

export function readAnswers(folder: string): TraceAnswers {
  return JSON.parse(gunzipped(join(folder, ANSWERS_FILE)))
}

export function objectsOf(operation: TraceOperation): TraceObject[] {
  return 'objects' in operation ? operation.objects : []
}

export function countExtents(operations: readonly TraceOperation[]): number {
  const objects = operations.flatMap(objectsOf)
  return objects.reduce((count, { extents }) => count + extents.length, 0)
}

/** True when the right answer to an operation is an error: it changes nothing then. */
export function isRefused({ expect }: TraceOperation): boolean {
  return typeof expect === 'object' && expect !== null && 'error' in expect
}

function gunzipped(path: string): string {
  return gunzipSync(readFileSync(path)).toString()
}
