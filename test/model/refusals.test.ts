/**
 * Goal: the model refuses what the specification refuses, with the right code and without a trace.
 * Method: one test for each bullet of metastore.md, section 3; the INVALID_REQUEST ones are the
 * table that generated operations use as well; and the rules of sections 1 and 5 around retries.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { MetastoreError } from '../../src/codec/errors.ts'
import type { TopicPartition } from '../../src/shared/api.ts'
import { MALFORMATIONS } from './malformations.ts'
import { type Call, callModel, outcomeClass } from './outcome.ts'
import { A, B, codeOf, type Fixture, fixture, type ShortExtent, update } from './small-fixture.ts'
import { numberedUuid, partitionNear, UNKNOWN_OBJECT } from './universe.ts'

const REQUEST = numberedUuid(7, 0, 0)
const HOUR_MS = 3_600_000

/** A call of the method that would succeed in a model with A 0-9. */
function goodCall(f: Fixture, method: string): Call {
  if (method === 'setStartOffset') return { method, args: [A, 5] }
  if (method === 'removeTopics') return { method, args: [[A.topicId]] }
  if (method === 'commitCompaction') {
    return { method, args: [{ updates: [update(0, 3000, [[0, 4, true]], [])] }] }
  }
  if (method === 'addObjects') {
    const terms = [{ topicPartition: A, terms: [{ term: 1, startOffset: 10 }] }]
    return { method, args: [{ objects: [f.object([A, 10, 19])], terms }] }
  }
  const objects = [f.object([A, 0, 9])]
  const request =
    method === 'replaceObjects'
      ? { objects, expectedEpochs: [{ topicPartition: A, epoch: 0 }] }
      : { objects, updates: [update(0, 3000, [[0, 4, true]], [])] }
  return { method, args: [request] }
}

function stateOf({ model }: Fixture): unknown {
  const partitions = model.topicPartitions().map(tp => model.partition(tp))
  return structuredClone([model.objects(), partitions.map(p => ({ ...p }))])
}

describe('malformed requests change nothing', () => {
  for (const { claim, methods, spoil } of MALFORMATIONS) {
    for (const method of methods) {
      test(`${method}: ${claim}`, () => {
        const f = fixture(2)
        f.add([A, 0, 9])
        const good = goodCall(f, method)
        const bad = structuredClone(good)
        spoil(bad.args)
        const before = stateOf(f)
        assert.equal(outcomeClass(callModel(f.model, bad)), 'INVALID_REQUEST')
        assert.deepEqual(stateOf(f), before)
        assert.equal(outcomeClass(callModel(f.model, good)), 'ok')
      })
    }
  }

  test('preregisterObjects makes 1 to 10 000 ids', () => {
    const { model } = fixture()
    assert.equal(
      codeOf(() => model.preregisterObjects(A, 0)),
      'INVALID_REQUEST',
    )
    assert.equal(
      codeOf(() => model.preregisterObjects(A, 10_001)),
      'INVALID_REQUEST',
    )
    assert.equal(model.preregisterObjects(A, 10_000).length, 10_000)
  })
})

describe('conflicts of addObjects', () => {
  let f: Fixture
  beforeEach(() => {
    f = fixture()
    f.add([A, 0, 9])
  })
  const add = (objectId: string, extent: ShortExtent): unknown => {
    const terms = [{ topicPartition: extent[0], terms: [{ term: 1, startOffset: extent[1] }] }]
    return f.model.addObjects({ objects: [{ ...f.object(extent), objectId }], terms })
  }

  test('an unknown object', () => {
    assert.equal(
      codeOf(() => add(UNKNOWN_OBJECT, [A, 10, 19])),
      'CONFLICT',
    )
  })
  test('an expired preregistration, and only after more than 1 h', () => {
    const [id] = f.model.preregisterObjects(A, 1)
    f.nowMs += HOUR_MS
    f.model.expirePreregistrations()
    assert.equal(f.model.object(id)?.state, 'preregistered')
    f.nowMs += 1
    f.model.expirePreregistrations()
    assert.equal(
      codeOf(() => add(id, [A, 10, 19])),
      'CONFLICT',
    )
    assert.deepEqual(f.model.garbageObjects(), [id])
  })
  test('an object committed with other content', () => {
    assert.equal(
      codeOf(() => add(f.lastIds[0], [A, 10, 19])),
      'CONFLICT',
    )
  })
  test('a removed topic, for 24 h', () => {
    assert.deepEqual(f.model.removeTopics([A.topicId]), { notRemoved: [] })
    assert.deepEqual(f.model.garbageObjects(), f.lastIds)
    assert.deepEqual(f.model.listPartitions(A.topicId), [])
    assert.equal(
      codeOf(() => f.add([A, 0, 9])),
      'CONFLICT',
    )
    f.nowMs += 24 * HOUR_MS
    assert.deepEqual(f.add([A, 0, 9]), [])
  })
  test('a first term before the last known one, and of an aligned partition only', () => {
    f.addWithTerms([[4, 10]], [A, 10, 19])
    assert.equal(
      codeOf(() => f.addWithTerms([[3, 20]], [A, 20, 29])),
      'CONFLICT',
    )
    assert.equal(f.addWithTerms([[3, 25]], [A, 25, 29]).correctedNextOffsets.length, 1)
    f.addWithTerms([[4, 20]], [A, 20, 29])
    assert.equal(f.model.getEndOffsetForTerm(A, 1), 10, 'the old start of term 4 stays')
  })
  test('the same objects again are answered as before, whatever happened since', () => {
    const object = f.object([A, 5, 6], [B, 0, 4])
    const terms = [
      { topicPartition: A, terms: [{ term: 1, startOffset: 5 }] },
      { topicPartition: B, terms: [{ term: 1, startOffset: 0 }] },
    ]
    const first = f.model.addObjects({ objects: [object], terms })
    assert.deepEqual(first.correctedNextOffsets, [{ topicPartition: A, nextOffset: 10 }])
    f.add([A, 10, 19])
    f.model.removeTopics([A.topicId])
    const turned = { ...object, extents: object.extents.toReversed() }
    assert.deepEqual(f.model.addObjects({ objects: [turned], terms }), first)
    const mixed = [object, f.object([B, 5, 9])]
    assert.equal(
      codeOf(() => f.model.addObjects({ objects: mixed, terms })),
      'CONFLICT',
    )
  })
})

describe('conflicts of rewrites', () => {
  let f: Fixture
  beforeEach(() => {
    f = fixture()
    f.add([A, 0, 9])
    f.add([A, 10, 19])
    f.add([A, 20, 29])
  })
  const refused = (run: () => unknown): void => {
    const before = f.model.listExtents(A)
    const epoch = f.model.partition(A)?.epoch
    assert.equal(codeOf(run), 'CONFLICT')
    assert.deepEqual(f.model.listExtents(A), before)
    assert.equal(f.model.partition(A)?.epoch, epoch)
  }

  test('an unknown or a committed object', () => {
    const expectedEpochs = [{ topicPartition: A, epoch: 0 }]
    for (const objectId of [UNKNOWN_OBJECT, f.lastIds[0]]) {
      const objects = [{ ...f.object([A, 20, 29]), objectId }]
      refused(() => f.model.replaceObjects({ objects, expectedEpochs }))
    }
  })
  test('a repeated replace', () => {
    const objects = [f.object([A, 20, 29])]
    const request = { objects, expectedEpochs: [{ topicPartition: A, epoch: 0 }] }
    f.model.replaceObjects(request)
    refused(() => f.model.replaceObjects(request))
  })
  test('an unknown partition', () => {
    const expectedEpochs = [{ topicPartition: B, epoch: 0 }]
    refused(() => f.model.replaceObjects({ objects: [f.object([B, 0, 9])], expectedEpochs }))
  })
  test('another epoch, which compaction raises and replacement does not', () => {
    f.replace(0, [A, 0, 9])
    f.replace(0, [A, 0, 9])
    f.compact(update(0, 3000, [], []), [A, 0, 9])
    refused(() => f.replace(0, [A, 0, 9]))
    refused(() => f.compact(update(0, 3000, [], []), [A, 0, 9]))
    refused(() => f.clean(0, 3000, [], []))
    f.replace(1, [A, 0, 9])
  })
  test('an interval that does not line up', () => {
    refused(() => f.replace(0, [A, 1, 9]))
    refused(() => f.replace(0, [A, 0, 8]))
    refused(() => f.replace(0, [A, 20, 30]))
    refused(() => f.replace(0, [A, 0, 9], [A, 20, 28]))
    f.replace(0, [A, 0, 5], [A, 6, 19])
  })
  test('nothing but extents below the start; with others they are dropped', () => {
    f.model.setStartOffset(A, 15)
    refused(() => f.replace(0, [A, 0, 9]))
    refused(() => f.replace(0, [A, 15, 19]))
    f.replace(0, [A, 0, 9], [A, 20, 29])
    f.replace(0, [A, 12, 13], [A, 14, 19])
    assert.equal(f.model.findByOffset(A, 0).baseOffset, 14)
  })
  test('a partition whose new extents are all dropped does not hold up another one', () => {
    f.add([B, 0, 9])
    f.model.setStartOffset(A, 15)
    const object = f.object([A, 0, 9, 5], [B, 0, 9, 7])
    const expectedEpochs = [A, B].map(topicPartition => ({ topicPartition, epoch: 0 }))
    f.model.replaceObjects({ objects: [object], expectedEpochs })
    assert.deepEqual(f.model.getSize(A), { sizeBytes: 198, extentCount: 2 })
    assert.deepEqual(f.model.getSize(B), { sizeBytes: 7, extentCount: 1 })
    assert.equal(f.model.object(object.objectId)?.removedDataBytes, 5)
  })
  test('cleaned ranges without the start of the log', () => {
    refused(() => f.compact(update(0, 3000, [[10, 12, false]], []), [A, 10, 19]))
    f.compact(update(0, 3000, [[10, 12, false]], []), [A, 0, 9], [A, 10, 19])
  })
  test('tombstones that overlap tracked ones in one offset', () => {
    f.clean(0, 3000, [[3, 5, true]], [])
    refused(() => f.clean(1, 3000, [[5, 7, true]], []))
    f.clean(1, 3000, [[5, 7, false]], [])
  })
  test('a removal that no chain of tombstones covers', () => {
    f.clean(
      0,
      3000,
      [
        [3, 5, true],
        [7, 8, true],
      ],
      [],
    )
    refused(() => f.clean(1, 3000, [], [[3, 8]]))
    f.clean(1, 3000, [[6, 6, true]], [[3, 8]])
    assert.deepEqual(f.removable(A, 9999), [])
  })
  test('a cleaned range that reaches nextOffset', () => {
    refused(() => f.clean(0, 3000, [[0, 30, false]], []))
    f.clean(0, 3000, [[0, 29, false]], [])
  })
  test('ranges below the start are clipped to it', () => {
    f.clean(0, 3000, [[0, 9, true]], [])
    f.model.setStartOffset(A, 4)
    f.clean(1, 4000, [], [[0, 5]])
    assert.deepEqual(f.removable(A, 3000), [[6, 9]])
    assert.deepEqual(f.dirty(A), [[10, 29]])
  })
})

describe('several domains', () => {
  const f = fixture(2)
  const near = partitionNear(0, f.model)
  const far = partitionNear(1, f.model)
  const request = (first: number, second: number): Parameters<typeof f.model.addObjects>[0] => ({
    objects: [f.object([near, first, first + 9]), f.object([far, second, second + 9])],
    terms: [termsOf(near, first), termsOf(far, second)],
  })
  const termsOf = (
    topicPartition: TopicPartition,
    startOffset: number,
  ): {
    topicPartition: TopicPartition
    terms: { term: number; startOffset: number }[]
  } => ({ topicPartition, terms: [{ term: 1, startOffset }] })

  test('an id preregistered in another domain fails there alone, then a retry succeeds', () => {
    const good = request(0, 0)
    const [foreign] = f.model.preregisterObjects(near, 1)
    const bad = { ...good, objects: [good.objects[0], { ...good.objects[1], objectId: foreign }] }
    assert.throws(
      () => f.model.addObjects(bad),
      (error: MetastoreError) => {
        assert.equal(error.code, 'PARTIAL_FAILURE')
        const { outcomes } = error.details as { outcomes: { domain: number; error?: unknown }[] }
        assert.deepEqual(outcomes[0], { domain: 0, result: { correctedNextOffsets: [] } })
        assert.ok(outcomes[1].error instanceof MetastoreError)
        assert.equal(outcomes[1].error.code, 'CONFLICT')
        return true
      },
    )
    assert.deepEqual(f.model.addObjects(good), { correctedNextOffsets: [] })
  })

  test('domains that all fail alike give that error itself', () => {
    const objects = request(10, 10).objects.map((object, i) => ({
      ...object,
      objectId: numberedUuid(2, 1, i),
    }))
    const bad = { ...request(10, 10), objects }
    assert.equal(
      codeOf(() => f.model.addObjects(bad)),
      'CONFLICT',
    )
  })
})

describe('request ids', () => {
  let f: Fixture
  beforeEach(() => {
    f = fixture()
    f.add([A, 0, 9])
  })
  const replace = (): void => {
    f.model.replaceObjects(
      { objects: [f.object([A, 0, 9])], expectedEpochs: [{ topicPartition: A, epoch: 0 }] },
      { requestId: REQUEST },
    )
  }
  const clean = (epoch: number): void => {
    const change = update(epoch, 3000, [], [])
    f.model.commitCompaction({ updates: [change] }, { requestId: REQUEST })
  }

  test('a retry gets the first answer for 1 h and is not applied again', () => {
    clean(0)
    clean(0)
    assert.equal(f.model.partition(A)?.epoch, 1)
    f.nowMs += HOUR_MS + 1
    assert.equal(
      codeOf(() => clean(0)),
      'CONFLICT',
    )
  })
  test('a refusal is not stored', () => {
    assert.equal(
      codeOf(() => clean(7)),
      'CONFLICT',
    )
    clean(0)
    assert.equal(f.model.partition(A)?.epoch, 1)
  })
  test('the id of another kind of call is CONFLICT', () => {
    replace()
    assert.equal(
      codeOf(() => clean(0)),
      'CONFLICT',
    )
    replace()
  })
})

describe('the start of a log', () => {
  test('moves forward only, within what there is', () => {
    const f = fixture()
    assert.equal(
      codeOf(() => f.model.setStartOffset(A, 0)),
      'MISSING_PARTITION',
    )
    f.add([A, 0, 9])
    assert.equal(
      codeOf(() => f.model.setStartOffset(A, 11)),
      'OUT_OF_RANGE',
    )
    f.model.setStartOffset(A, 5)
    f.model.setStartOffset(A, 3)
    assert.deepEqual(f.model.getOffsets(A), { startOffset: 5, nextOffset: 10 })
    assert.equal(f.model.findByOffset(A, 0).baseOffset, 0, 'the straddling extent stays whole')
    assert.equal(f.model.getOffsetForBytes(A, 1), 5)
  })
})
