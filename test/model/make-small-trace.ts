/**
 * Makes the small trace in examples/replay/data from the first operations of a long one, with
 * answers by the model. Run by hand, from the project's root, after `npm run compile`:
 *
 *   node .build/test/model/make-small-trace.js ../shared/data examples/replay/data
 *
 * The same input gives the same output: the generator of the queries is seeded.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { MetastoreModel } from './metastore-model.ts'
import type { PartitionModel } from './partition-model.ts'
import {
  readTraceLines,
  type TraceHeader,
  type TraceOperation,
  type TraceQuery,
  TraceReplay,
} from './trace.ts'
import { numberedUuid } from './universe.ts'

const OPERATIONS = 2500
const QUERIES = 1460
const MISSING_QUERIES = 20
const SEED = 20_251_009

type Question = Omit<TraceQuery, 'answer'>

/** mulberry32: uniform integers from 0 to before `end`. */
function seeded(seed: number): (end: number) => number {
  let state = seed
  return end => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end)
  }
}

function headerFor(header: TraceHeader, operations: readonly TraceOperation[]): TraceHeader {
  const sent = operations.flatMap(operation => ('objects' in operation ? operation.objects : []))
  return {
    ...header,
    operations: operations.length,
    objects: new Set(sent.map(object => object.object)).size,
    extents: sent.reduce((sum, object) => sum + object.extents.length, 0),
  }
}

/** The kinds in about the proportions of the long trace's answers. */
const KINDS: readonly string[] = [
  ...Array(9).fill('findByOffset'),
  ...Array(3).fill('findByTimestamp'),
  ...Array(2).fill('getTermForOffset'),
  ...Array(2).fill('getEndOffsetForTerm'),
  ...Array(2).fill('getOffsetForBytes'),
  ...Array(2).fill('getCompactionInfo'),
  'getOffsets',
]

function question(partition: PartitionModel, random: (end: number) => number): Question {
  const { topicPartition, startOffset, nextOffset, extents, terms, sizeBytes } = partition
  const base = { topicPartition, call: KINDS[random(KINDS.length)] }
  const edges = [0, startOffset, nextOffset, nextOffset + 1]
  const inside = startOffset + random(nextOffset - startOffset + 1)
  const offset = random(6) === 0 ? edges[random(edges.length)] : inside
  const timestamp = (extents[random(extents.length)]?.maxTimestamp ?? 0) + random(3) * 1000
  const cleanedAt = partition.compaction.tombstones.map(range => range.cleanedAt)
  switch (base.call) {
    case 'findByOffset':
    case 'getTermForOffset':
      return { ...base, offset }
    case 'findByTimestamp':
      return { ...base, timestamp, minOffset: random(2) === 0 ? 0 : offset }
    case 'getEndOffsetForTerm':
      return { ...base, term: random((terms.at(-1)?.term ?? 0) + 3) }
    case 'getOffsetForBytes':
      return { ...base, bytes: random(8) < 6 ? random(sizeBytes + 2) : sizeBytes + random(2) }
    case 'getCompactionInfo': {
      const bound = cleanedAt[random(cleanedAt.length)] ?? timestamp
      return { ...base, tombstoneRemovalBound: Math.max(0, bound - random(2)) }
    }
    default:
      return base
  }
}

function missingQuestion(number: number): Question {
  const topicPartition = { topicId: numberedUuid(0xabc, 0, number), partition: number % 3 }
  return number % 2 === 0
    ? { call: 'findByOffset', topicPartition, offset: 0 }
    : { call: 'getOffsets', topicPartition }
}

function questions(model: MetastoreModel): Question[] {
  const random = seeded(SEED)
  const partitions = model.topicPartitions().flatMap(tp => model.partition(tp) ?? [])
  const compacted = partitions.filter(partition => partition.epoch > 0)
  const known = Array.from({ length: QUERIES }, () => {
    // Few partitions are compacted so early; every fourth question is about one of them.
    const among = compacted.length > 0 && random(4) === 0 ? compacted : partitions
    return question(among[random(among.length)], random)
  })
  const missing = Array.from({ length: 2 * MISSING_QUERIES }, (_, i) => missingQuestion(i))
  return [...known, ...missing]
}

function makeSmallTrace(from: string, to: string): void {
  const [first, ...lines] = readTraceLines(from)
  const kept = lines.slice(0, OPERATIONS)
  const operations: TraceOperation[] = kept.map(line => JSON.parse(line))
  const header = headerFor(JSON.parse(first), operations)
  let made = 0
  const newId = (): string => numberedUuid(4, 0, made++)
  const model = new MetastoreModel({ partitions: header.partitions, now: () => 0, newId })
  const replay = new TraceReplay(model)
  for (const operation of operations) replay.apply(operation)
  const answers = {
    partitions: replay.partitions(),
    queries: questions(model).map(query => ({ ...query, answer: replay.ask(query) })),
    garbageObjects: replay.garbageObjects(),
  }
  const text = `${[JSON.stringify(header), ...kept].join('\n')}\n`
  mkdirSync(to, { recursive: true })
  writeFileSync(`${to}/commits.ndjson.gz`, gzipSync(text, { level: 9 }))
  writeFileSync(`${to}/commits.answers.json.gz`, gzipSync(JSON.stringify(answers), { level: 9 }))
}

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) {
  throw new Error('usage: make-small-trace.js <folder of the long trace> <folder to write>')
}
makeSmallTrace(from, to)
