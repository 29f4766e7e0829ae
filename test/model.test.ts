/**
 * Goal: the reference model says what the specification says. Method: the worked cases of
 * metastore.md, section 8; two traces of commits whose answers are known (the long one lies beside
 * the project and is skipped where it is not); and a count of what generated operations lead to,
 * so that a property test built on them is known to reach every kind of answer.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { concretise, IDS_PER_OPERATION_MAX, operations, readCalls } from './model/arbitraries.ts'
import { MetastoreModel } from './model/metastore-model.ts'
import { type Call, callModel, outcomeClass } from './model/outcome.ts'
import { A, B, codeOf, type Fixture, fixture } from './model/small-fixture.ts'
import { hasTrace, readAnswers, readTraceLines, TraceReplay } from './model/trace.ts'
import { numberedUuid, ObjectIdPool, partitionNear } from './model/universe.ts'

const LONG_TRACE = '../shared/data'
const SMALL_TRACE = 'examples/replay/data'

describe('worked cases', () => {
  let f: Fixture
  let model: MetastoreModel
  beforeEach(() => {
    f = fixture()
    model = f.model
  })

  test('a misaligned add changes nothing and names the real next offset', () => {
    f.add([A, 0, 10])
    assert.deepEqual(f.add([A, 12, 20]), [{ topicPartition: A, nextOffset: 11 }])
    assert.deepEqual(model.getOffsets(A), { startOffset: 0, nextOffset: 11 })
    assert.deepEqual(model.getSize(A), { sizeBytes: 99, extentCount: 1 })
    assert.deepEqual(f.add([A, 11, 20]), [])
    assert.equal(model.getOffsets(A).nextOffset, 21)
  })

  test('the bytes of misaligned extents count as removed in their object', () => {
    f.add([A, 0, 10], [B, 0, 10])
    assert.deepEqual(f.add([A, 1337, 1337, 5], [B, 11, 20]), [
      { topicPartition: A, nextOffset: 11 },
    ])
    const row = model.object(f.lastIds[0])
    assert.deepEqual([row?.removedDataBytes, row?.totalDataBytes], [5, 104])
    assert.equal(row?.liveExtents, 1)
  })

  test('a wholly misaligned add makes no partition and leaves garbage', () => {
    assert.deepEqual(f.add([A, 5, 9]), [{ topicPartition: A, nextOffset: 0 }])
    assert.equal(
      codeOf(() => model.getOffsets(A)),
      'MISSING_PARTITION',
    )
    assert.deepEqual(model.garbageObjects(), f.lastIds)
  })

  test('ranges that straddle the start are replaced, and those of an emptied log are not', () => {
    f.add([A, 0, 99])
    f.add([A, 100, 199])
    f.add([A, 200, 299])
    const old = f.lastIds
    model.setStartOffset(A, 150)
    f.replace(0, [A, 0, 99], [A, 100, 199], [A, 200, 299])
    assert.deepEqual(model.getSize(A), { sizeBytes: 198, extentCount: 2 })
    assert.ok(model.garbageObjects().includes(old[0]))
    model.setStartOffset(A, 300)
    const again = (): void => f.replace(0, [A, 0, 99], [A, 100, 199], [A, 200, 299])
    assert.equal(codeOf(again), 'CONFLICT')
  })

  test('an emptied log keeps its last term', () => {
    f.addWithTerms(
      [
        [1, 0],
        [2, 3],
        [5, 7],
      ],
      [A, 0, 9],
    )
    model.setStartOffset(A, 10)
    assert.deepEqual(model.getOffsets(A), { startOffset: 10, nextOffset: 10 })
    assert.deepEqual(model.getSize(A), { sizeBytes: 0, extentCount: 0 })
    assert.equal(model.getTermForOffset(A, 10), 5)
  })

  test('the end offset of a term is the start of the next known one', () => {
    f.addWithTerms(
      [
        [1, 0],
        [2, 5],
        [5, 10],
        [6, 15],
        [7, 20],
      ],
      [A, 0, 20],
    )
    const ends = [0, 1, 2, 3, 4, 5, 6, 7].map(term => model.getEndOffsetForTerm(A, term))
    assert.deepEqual(ends, [0, 5, 10, 10, 10, 15, 20, 21])
    assert.equal(
      codeOf(() => model.getEndOffsetForTerm(A, 8)),
      'OUT_OF_RANGE',
    )
  })

  test('an offset for bytes counts whole extents from the tail', () => {
    f.add([A, 0, 10])
    f.add([A, 11, 20])
    f.add([A, 21, 30])
    const asked = [0, 1, 99, 100, 198, 199, 297]
    const offsets = asked.map(bytes => model.getOffsetForBytes(A, bytes))
    assert.deepEqual(offsets, [31, 21, 21, 11, 11, 0, 0])
    assert.equal(
      codeOf(() => model.getOffsetForBytes(A, 298)),
      'OUT_OF_RANGE',
    )
  })

  test('cleaning leaves the rest dirty, and tombstones removable from their time on', () => {
    f.add([A, 0, 10])
    f.clean(0, 3000, [[3, 5, true]], [])
    assert.deepEqual(f.dirty(A), [
      [0, 2],
      [6, 10],
    ])
    assert.deepEqual(f.removable(A, 3000), [[3, 5]])
    assert.deepEqual(f.removable(A, 2999), [])
    f.clean(1, 4000, [[0, 2, false]], [[3, 4]])
    assert.deepEqual(f.dirty(A), [[6, 10]])
    assert.deepEqual(f.removable(A, 3000), [[5, 5]])
  })

  test('removing tombstones splits ranges, which keep their times', () => {
    f.add([A, 0, 299])
    f.clean(0, 900, [[10, 99, true]], [])
    f.clean(1, 1000, [[100, 199, true]], [])
    f.clean(2, 1100, [], [[80, 129]])
    assert.deepEqual(f.removable(A, 900), [[10, 79]])
    assert.deepEqual(f.removable(A, 1000), [
      [10, 79],
      [130, 199],
    ])
    assert.equal(
      codeOf(() => f.clean(3, 1200, [], [[0, 79]])),
      'CONFLICT',
    )
  })

  test('levelling finds runs of small neighbours', () => {
    f.sizes(A, [100, 2, 100, 15, 2, 100])
    f.sizes(B, [25, 25])
    assert.deepEqual(f.leveling(A, 50), [[30, 49, 17, 2]])
    assert.deepEqual(f.leveling(B, 50), [[0, 19, 50, 2]])
    const other = fixture()
    other.sizes(A, [25, 24])
    assert.deepEqual(other.leveling(A, 50), [])
  })

  test('a run that reaches the maximum is closed with the extent that brought it there', () => {
    f.sizes(A, [10, 10, 10, 10, 10])
    assert.deepEqual(f.leveling(A, 50, 20), [
      [0, 19, 20, 2],
      [20, 39, 20, 2],
    ])
    assert.deepEqual(f.leveling(A, 50, 10), [])
  })
})

function checkTrace(folder: string): void {
  const [header, ...lines] = readTraceLines(folder).map(line => JSON.parse(line))
  assert.equal(header.operations, lines.length)
  let made = 0
  const newId = (): string => numberedUuid(4, 0, made++)
  const { partitions } = header
  const replay = new TraceReplay(new MetastoreModel({ partitions, now: () => 0, newId }))
  lines.forEach((operation, i) => {
    assert.deepEqual(replay.apply(operation), operation.expect, `operation ${i}`)
  })
  const answers = readAnswers(folder)
  assert.deepEqual(replay.partitions(), answers.partitions)
  for (const { answer, ...query } of answers.queries) {
    assert.deepEqual(replay.ask(query), answer, JSON.stringify(query))
  }
  assert.deepEqual(replay.garbageObjects(), answers.garbageObjects)
}

test('the small trace has the answers that are kept with it', () => {
  checkTrace(SMALL_TRACE)
})

const skip = hasTrace(LONG_TRACE) ? false : `no trace in ${LONG_TRACE}`
test('the long trace has the answers that came with it', { skip }, () => {
  checkTrace(LONG_TRACE)
})

const EVERY_OUTCOME: Record<string, readonly string[]> = {
  addObjects: ['ok', 'INVALID_REQUEST', 'CONFLICT', 'PARTIAL_FAILURE'],
  replaceObjects: ['ok', 'INVALID_REQUEST', 'CONFLICT', 'PARTIAL_FAILURE'],
  compactObjects: ['ok', 'INVALID_REQUEST', 'CONFLICT', 'PARTIAL_FAILURE'],
  commitCompaction: ['ok', 'INVALID_REQUEST', 'CONFLICT', 'PARTIAL_FAILURE'],
  setStartOffset: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION', 'OUT_OF_RANGE'],
  removeTopics: ['ok', 'INVALID_REQUEST'],
  preregisterObjects: ['INVALID_REQUEST'],
  getOffsets: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION'],
  getSize: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION'],
  findByOffset: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION', 'OUT_OF_RANGE'],
  findByTimestamp: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION', 'OUT_OF_RANGE'],
  findByOffsets: ['ok', 'INVALID_REQUEST'],
  getOffsetForBytes: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION', 'OUT_OF_RANGE'],
  getTermForOffset: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION', 'OUT_OF_RANGE'],
  getEndOffsetForTerm: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION', 'OUT_OF_RANGE'],
  listExtents: ['ok', 'INVALID_REQUEST', 'MISSING_PARTITION'],
  listPartitions: ['ok', 'INVALID_REQUEST'],
  getCompactionInfo: ['ok', 'INVALID_REQUEST'],
  getLevelingInfo: ['ok', 'INVALID_REQUEST'],
}

test('generated operations and reads lead to every kind of outcome, and to no other', () => {
  const counts = new Map<string, number>()
  const count = (model: MetastoreModel, call: Call): string => {
    const outcome = outcomeClass(callModel(model, call))
    const name = `${call.method} ${outcome}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
    return outcome
  }
  for (const sequence of fc.sample(operations(100), { numRuns: 60, seed: 7 })) {
    let made = 0
    const newId = (): string => numberedUuid(4, 0, made++)
    const model = new MetastoreModel({ partitions: 3, now: () => 0, newId })
    const ids = new ObjectIdPool()
    const history: Call[] = []
    for (const operation of sequence) {
      for (let domain = 0; domain < model.partitions; domain++) {
        if (ids.available(domain) >= IDS_PER_OPERATION_MAX) continue
        const near = partitionNear(domain, model)
        ids.put(domain, model.preregisterObjects(near, 2 * IDS_PER_OPERATION_MAX))
      }
      const call = concretise(operation, model, ids, history)
      history.push(call)
      const outcome = count(model, call)
      if (operation.op === 'malformed') assert.equal(outcome, 'INVALID_REQUEST')
      checkInvariants(model)
    }
    for (const call of readCalls(model)) count(model, call)
  }
  const every = Object.entries(EVERY_OUTCOME).flatMap(([method, outcomes]) =>
    outcomes.map(outcome => `${method} ${outcome}`),
  )
  assert.deepEqual([...counts.keys()].sort(), every.sort())
  const rare = [...counts].filter(([, times]) => times < 5)
  assert.deepEqual(rare, [], 'outcomes that hardly occur')
})

/** The invariants of metastore.md, section 1, and that every object's accounts add up. */
function checkInvariants(model: MetastoreModel): void {
  const live = new Map<string, { extents: number; bytes: number }>()
  for (const tp of model.topicPartitions()) {
    const partition = model.partition(tp)
    assert.ok(partition !== undefined)
    const { extents, terms, startOffset, nextOffset } = partition
    extents.forEach((extent, i) => {
      const end = extents[i + 1]?.baseOffset ?? nextOffset
      assert.equal(extent.lastOffset + 1, end, 'extents are contiguous up to nextOffset')
      assert.ok(extent.lastOffset >= startOffset, 'no extent lies wholly below the start')
      const sums = live.get(extent.objectId) ?? { extents: 0, bytes: 0 }
      live.set(extent.objectId, sums)
      sums.extents++
      sums.bytes += extent.sizeBytes
    })
    const first = extents[0]?.baseOffset ?? nextOffset
    assert.ok(first <= startOffset, 'the first extent contains or begins at the start')
    const bytes = extents.reduce((sum, extent) => sum + extent.sizeBytes, 0)
    assert.equal(partition.sizeBytes, bytes)
    assert.ok(terms.length > 0, 'a term stays')
    for (let i = 1; i < terms.length; i++) {
      assert.ok(terms[i].term > terms[i - 1].term)
      assert.ok(terms[i].startOffset > terms[i - 1].startOffset)
    }
  }
  for (const row of model.objects()) {
    const sums = live.get(row.objectId) ?? { extents: 0, bytes: 0 }
    assert.equal(row.liveExtents, sums.extents)
    assert.equal(row.totalDataBytes - row.removedDataBytes, sums.bytes)
  }
}
