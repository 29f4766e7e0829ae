/** Traces of commits with their answers: reading them, and sending them through the model. */
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { MetastoreError } from '../../src/codec/errors.ts'
import type {
  CompactionUpdate,
  NewObject,
  PartitionEpoch,
  PartitionTerms,
  TopicPartition,
} from '../../src/shared/api.ts'
import type { MetastoreModel } from './metastore-model.ts'

export interface TraceHeader {
  format: string
  partitions: number
  hash: string
  operations: number
  objects: number
  extents: number
}

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
  garbageObjects: string[]
}

const TRACE_FILE = 'commits.ndjson.gz'
const ANSWERS_FILE = 'commits.answers.json.gz'

export function hasTrace(folder: string): boolean {
  return existsSync(`${folder}/${TRACE_FILE}`) && existsSync(`${folder}/${ANSWERS_FILE}`)
}

/** The lines of a trace, header first. */
export function readTraceLines(folder: string): string[] {
  const text = gunzipSync(readFileSync(`${folder}/${TRACE_FILE}`)).toString()
  return text.split('\n').filter(line => line !== '')
}

export function readAnswers(folder: string): TraceAnswers {
  return JSON.parse(gunzipSync(readFileSync(`${folder}/${ANSWERS_FILE}`)).toString())
}

/** Sends a trace's operations through a model and knows which id each of its names got. */
export class TraceReplay {
  readonly model: MetastoreModel
  readonly #ids = new Map<string, string>()
  readonly #names = new Map<string, string>()

  constructor(model: MetastoreModel) {
    this.model = model
  }

  /** The answer in the shape of an operation's `expect`. */
  apply(operation: TraceOperation): unknown {
    return answerOf(() => {
      switch (operation.op) {
        case 'add': {
          const { terms } = operation
          return this.model.addObjects({ objects: this.#objects(operation.objects), terms })
        }
        case 'replace': {
          const { expectedEpochs } = operation
          const objects = this.#objects(operation.objects)
          return this.model.replaceObjects({ objects, expectedEpochs })
        }
        case 'compact': {
          const { updates } = operation
          return this.model.compactObjects({ objects: this.#objects(operation.objects), updates })
        }
        case 'setStartOffset':
          return this.model.setStartOffset(operation.topicPartition, operation.offset)
        case 'removeTopics':
          return this.model.removeTopics(operation.topicIds)
      }
    })
  }

  /** The answer in the shape of a query's `answer`. */
  ask(query: Omit<TraceQuery, 'answer'>): unknown {
    return answerOf(() => this.#named(this.#read(query)))
  }

  partitions(): PartitionAnswer[] {
    return this.model.topicPartitions().map(topicPartition => ({
      topicPartition,
      ...this.model.getOffsets(topicPartition),
      ...this.model.getSize(topicPartition),
    }))
  }

  garbageObjects(): string[] {
    return this.model
      .garbageObjects()
      .map(id => this.#names.get(id) ?? id)
      .sort()
  }

  #objects(objects: readonly TraceObject[]): NewObject[] {
    return objects.map(({ object, near, ...rest }) => ({
      ...rest,
      objectId: this.#id(object, near),
    }))
  }

  #id(name: string, near: TopicPartition): string {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const [id] = this.model.preregisterObjects(near, 1)
    this.#ids.set(name, id)
    this.#names.set(id, name)
    return id
  }

  #read(query: Omit<TraceQuery, 'answer'>): unknown {
    const { model } = this
    const { topicPartition: tp, offset = 0, minOffset = 0 } = query
    switch (query.call) {
      case 'getOffsets':
        return model.getOffsets(tp)
      case 'findByOffset':
        return model.findByOffset(tp, offset)
      case 'findByTimestamp':
        return model.findByTimestamp(tp, query.timestamp ?? 0, { minOffset })
      case 'getOffsetForBytes':
        return model.getOffsetForBytes(tp, query.bytes ?? 0)
      case 'getTermForOffset':
        return model.getTermForOffset(tp, offset)
      case 'getEndOffsetForTerm':
        return model.getEndOffsetForTerm(tp, query.term ?? 0)
      case 'getCompactionInfo': {
        const tombstoneRemovalBound = query.tombstoneRemovalBound ?? 0
        const [info] = model.getCompactionInfo([{ topicPartition: tp, tombstoneRemovalBound }])
        if (info instanceof MetastoreError) throw info
        return info
      }
      default:
        throw new Error(`a query of an unknown kind: ${query.call}`)
    }
  }

  /** An extent's location with the object's name in the trace for its id. */
  #named(answer: unknown): unknown {
    if (typeof answer !== 'object' || answer === null || !('objectId' in answer)) return answer
    const { objectId, ...rest } = answer
    return { object: this.#names.get(String(objectId)), ...rest }
  }
}

function answerOf(run: () => unknown): unknown {
  try {
    return run() ?? {}
  } catch (error) {
    if (error instanceof MetastoreError) return { error: error.code }
    throw error
  }
}
