/**
 * Every way that metastore.md (section 3) and api.md name for a write to be malformed in itself, as
 * changes to a good call's arguments. After any of them the call is INVALID_REQUEST whatever the
 * state is (in a cluster of at least two domains).
 */
import type {
  CompactionUpdate,
  NewExtent,
  NewObject,
  PartitionEpoch,
  PartitionTerms,
  TopicPartition,
} from '../../src/shared/api.ts'
import { numberedUuid, UNKNOWN_TOPIC } from './universe.ts'

/** The arguments as a change sees them: those of its method's request that there are. */
export interface LooseRequest {
  objects: NewObject[]
  terms: PartitionTerms[]
  expectedEpochs: PartitionEpoch[]
  updates: CompactionUpdate[]
}

export interface Malformation {
  claim: string
  methods: readonly string[]
  /** Changes a copy of the arguments in place. */
  spoil: (args: unknown[]) => void
}

const ADD = ['addObjects']
const REPLACE = ['replaceObjects']
const COMPACT = ['compactObjects']
const WITH_OBJECTS = [...ADD, ...REPLACE, ...COMPACT]
const WITH_UPDATES = [...COMPACT, 'commitCompaction']
const WITH_OPTIONS = [...WITH_OBJECTS, 'commitCompaction']
const START = ['setStartOffset']

/** Past everything that generated extents reach. */
const FAR = 1_000_000
const STRANGER: TopicPartition = { topicId: UNKNOWN_TOPIC, partition: 7 }

function malformation(
  claim: string,
  methods: readonly string[],
  spoil: (request: LooseRequest, args: unknown[]) => void,
): Malformation {
  return { claim, methods, spoil: args => spoil(args[0] as LooseRequest, args) }
}

function firstExtent(request: LooseRequest): NewExtent {
  return request.objects[0].extents[0]
}

/** The first object's twin with another id and one extent, changed. */
function twin(request: LooseRequest, change: Partial<NewExtent>): NewObject {
  const extents = [{ ...firstExtent(request), ...change }]
  return { ...request.objects[0], objectId: numberedUuid(9, 9, 9), extents }
}

/** One more partition that is itself in good order, in the first object. */
function addStranger(request: LooseRequest, partition: number): void {
  const topicPartition = { topicId: UNKNOWN_TOPIC, partition }
  const extent = { ...firstExtent(request), topicPartition, baseOffset: 0, lastOffset: 9 }
  request.objects[0].extents.push(extent)
  request.terms?.push({ topicPartition, terms: [{ term: 0, startOffset: 0 }] })
  request.expectedEpochs?.push({ topicPartition, epoch: 0 })
  request.updates?.push({ ...request.updates[0], topicPartition, cleanedRanges: [] })
}

/** A range that every rule about new extents and epochs lets pass. */
function rangeIn(request: LooseRequest): { baseOffset: number; lastOffset: number } {
  const { topicPartition } = request.updates[0]
  const isOfUpdate = ({ topicPartition: tp }: NewExtent): boolean =>
    tp.topicId === topicPartition.topicId && tp.partition === topicPartition.partition
  const extent = (request.objects ?? []).flatMap(object => object.extents).find(isOfUpdate)
  return extent ?? { baseOffset: 0, lastOffset: 0 }
}

function spoilNumber(value: unknown, methods: readonly string[], field: string): Malformation {
  return malformation(`${field} is ${String(value)}`, methods, (request, args) => {
    if (methods === START) args[1] = value
    else if (methods === WITH_UPDATES) Object.assign(request.updates[0], { [field]: value })
    else if (field === 'epoch') Object.assign(request.expectedEpochs[0], { epoch: value })
    else if (field === 'term') Object.assign(request.terms[0].terms[0], { term: value })
    else if (field === 'footerPosition') Object.assign(request.objects[0], { [field]: value })
    else Object.assign(firstExtent(request), { [field]: value })
  })
}

const BAD_NUMBERS: readonly unknown[] = [-1, 0.5, NaN, 2 ** 53, '1', undefined]

export const MALFORMATIONS: readonly Malformation[] = [
  malformation('no objects', WITH_OBJECTS, request => {
    request.objects = []
  }),
  malformation('the same objectId twice', WITH_OBJECTS, request => {
    request.objects.push(request.objects[0])
  }),
  malformation('an object without extents', WITH_OBJECTS, request => {
    request.objects.push({ ...twin(request, {}), extents: [] })
  }),
  malformation('two extents of one partition in an object', WITH_OBJECTS, request => {
    const last = firstExtent(request).lastOffset
    const extent = { ...firstExtent(request), baseOffset: last + 1, lastOffset: last + 1 }
    request.objects[0].extents.push(extent)
  }),
  malformation('baseOffset past lastOffset', WITH_OBJECTS, request => {
    firstExtent(request).baseOffset = firstExtent(request).lastOffset + 1
  }),
  malformation('overlapping extents', WITH_OBJECTS, request => {
    request.objects.push(twin(request, {}))
  }),
  malformation('an object with extents of several domains', WITH_OBJECTS, request => {
    for (let partition = 0; partition < 16; partition++) addStranger(request, partition)
  }),
  malformation('a gap between extents', ADD, request => {
    request.objects.push(twin(request, { baseOffset: FAR, lastOffset: FAR }))
  }),
  malformation('extents without terms', ADD, request => {
    request.terms.shift()
  }),
  malformation('an empty list of terms', ADD, request => {
    request.terms[0].terms = []
  }),
  malformation('terms without extents', ADD, request => {
    request.terms.push({ topicPartition: STRANGER, terms: [{ term: 0, startOffset: 0 }] })
  }),
  malformation('a first term that starts past the first extent', ADD, request => {
    request.terms[0].terms[0].startOffset++
  }),
  malformation('a last term that starts past the last extent', ADD, request => {
    request.terms[0].terms.push({ term: FAR, startOffset: FAR })
  }),
  malformation('terms that do not increase', ADD, request => {
    const [first] = request.terms[0].terms
    request.terms[0].terms = [first, { term: first.term, startOffset: first.startOffset + 1 }]
  }),
  malformation('term offsets that do not increase', ADD, request => {
    const [first] = request.terms[0].terms
    request.terms[0].terms = [first, { term: first.term + 1, startOffset: first.startOffset }]
  }),
  malformation('a partition twice in expectedEpochs', REPLACE, request => {
    request.expectedEpochs.push(request.expectedEpochs[0])
  }),
  malformation('an expected epoch without extents', REPLACE, request => {
    request.expectedEpochs.push({ topicPartition: STRANGER, epoch: 0 })
  }),
  malformation('extents without an expected epoch', REPLACE, request => {
    request.expectedEpochs.shift()
  }),
  malformation('a partition twice in updates', WITH_UPDATES, request => {
    request.updates.push(request.updates[0])
  }),
  malformation('an update without extents', COMPACT, request => {
    request.updates.push({ ...request.updates[0], topicPartition: STRANGER })
  }),
  malformation('extents without an update', COMPACT, request => {
    request.updates.shift()
  }),
  malformation('no updates', ['commitCompaction'], request => {
    request.updates = []
  }),
  ...(['cleanedRanges', 'removedTombstoneRanges'] as const).flatMap(list => [
    malformation(`an inverted range in ${list}`, WITH_UPDATES, request => {
      const { lastOffset } = rangeIn(request)
      const range = { baseOffset: lastOffset + 1, lastOffset, hasTombstones: false }
      request.updates[0][list] = [range]
    }),
    malformation(`overlapping ranges in ${list}`, WITH_UPDATES, request => {
      const range = { ...rangeIn(request), hasTombstones: true }
      request.updates[0][list] = [range, { ...range }]
    }),
    malformation(`unsorted ranges in ${list}`, WITH_UPDATES, request => {
      const { baseOffset, lastOffset } = rangeIn(request)
      request.updates[0][list] = [
        { baseOffset: lastOffset + 5, lastOffset: lastOffset + 5, hasTombstones: false },
        { baseOffset, lastOffset, hasTombstones: false },
      ]
    }),
  ]),
  malformation('a cleaned range outside the new extents', COMPACT, request => {
    request.updates[0].cleanedRanges = [{ baseOffset: FAR, lastOffset: FAR, hasTombstones: false }]
  }),
  malformation('a lastOffset of 2^53 - 1', WITH_OBJECTS, request => {
    firstExtent(request).lastOffset = Number.MAX_SAFE_INTEGER
  }),
  malformation('a partition of 2^31', WITH_OBJECTS, request => {
    firstExtent(request).topicPartition = { topicId: UNKNOWN_TOPIC, partition: 2 ** 31 }
  }),
  malformation('a topic id in upper case', WITH_OBJECTS, request => {
    const tp = firstExtent(request).topicPartition
    firstExtent(request).topicPartition = { ...tp, topicId: 'A'.repeat(8) + tp.topicId.slice(8) }
  }),
  malformation('an object id that is no UUID', WITH_OBJECTS, request => {
    request.objects[0].objectId = 'o1'
  }),
  malformation('a topic id that is no UUID', ['removeTopics'], (_, args) => {
    args[0] = [UNKNOWN_TOPIC, 'no uuid']
  }),
  malformation('a request id that is no UUID', WITH_OPTIONS, (_, args) => {
    args[1] = { requestId: 'r1' }
  }),
  ...BAD_NUMBERS.flatMap(value => [
    spoilNumber(value, WITH_OBJECTS, 'position'),
    spoilNumber(value, WITH_OBJECTS, 'sizeBytes'),
    spoilNumber(value, WITH_OBJECTS, 'maxTimestamp'),
    spoilNumber(value, WITH_OBJECTS, 'footerPosition'),
    spoilNumber(value, WITH_OBJECTS, 'baseOffset'),
    spoilNumber(value, ADD, 'term'),
    spoilNumber(value, REPLACE, 'epoch'),
    spoilNumber(value, WITH_UPDATES, 'expectedEpoch'),
    spoilNumber(value, WITH_UPDATES, 'cleanedAt'),
    spoilNumber(value, START, 'offset'),
  ]),
]

/** The `number`th (modulo how many there are) of those that fit the method. */
export function malformationFor(method: string, number: number): Malformation {
  const fitting = MALFORMATIONS.filter(({ methods }) => methods.includes(method))
  return fitting[number % fitting.length]
}
