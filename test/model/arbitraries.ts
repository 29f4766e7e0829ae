/**
 * Random operations over a small universe (universe.ts). They are abstract, because a good one
 * depends on the state: "add 10 and 3 offsets, two past the end", "replace the second and third
 * extent". concretise() (concretise.ts) turns each into an API call by looking at the model.
 *
 * A test with a real store: fill an ObjectIdPool with IDS_PER_OPERATION_MAX ids a domain before
 * each operation, concretise it, send the call to both (outcome.ts), compare; then readCalls().
 */
import fc from 'fast-check'
import { MALFORMATIONS } from './malformations.ts'
import { SLOTS, TOPIC_SLOTS } from './universe.ts'

export { concretise } from './concretise.ts'
export { readCalls } from './read-calls.ts'

/** At most so many ids of one domain does one operation take from the pool. */
export const IDS_PER_OPERATION_MAX = 16

/** What is wrong with the id of an operation's first object. */
export type IdFault = 'none' | 'unknown' | 'committed' | 'foreign'

/** Small numbers, reused on purpose; null sends none. */
export type RequestNumber = number | null

export interface AbstractAddPartition {
  slot: number
  /** Offsets of each extent, at least 1 each. */
  lengths: number[]
  /** From the real nextOffset; not 0 is misaligned. */
  shift: number
  /** From the last known term to the first new one. */
  termStep: number
  /** More terms that start inside the new extents. */
  extraTerms: number
}

export interface AbstractAdd {
  op: 'add'
  partitions: AbstractAddPartition[]
  /** Drawn from in turn for the extents' bytes, timestamps and for the footers. */
  numbers: number[]
  idFault: IdFault
  /** To the removed incarnation of the first partition's topic. */
  late: boolean
  request: RequestNumber
}

/** Adds again what was committed before. */
export interface AbstractResend {
  op: 'resend'
  pick: number
  change: 'none' | 'order' | 'footer' | 'size' | 'extent' | 'terms'
  mixWithNew: boolean
  request: RequestNumber
}

export interface AbstractInterval {
  /** Existing extents: the first (modulo their number) and how many. */
  from: number
  count: number
  /** New extents to put there, at least 1. */
  pieces: number
  baseShift: number
  lastShift: number
}

export interface AbstractReplacement {
  slot: number
  /** Up to two; the second begins after the first with a gap where there is room. */
  intervals: AbstractInterval[]
  /** Where the first interval lies: from its extent, the log's first one, or below the start on; or
   * wholly below the start. */
  reach: 'extent' | 'first' | 'below' | 'stale'
  epochDelta: number
  cleaned: AbstractRange[]
  /** Parts of tracked tombstones by number, their ends moved. */
  removed: { pick: number; chain: number; trimBase: number; trimLast: number }[]
  cleanedAt: number
  /** Stay in the request although the partition is unknown (else another takes its place). */
  keepUnknown: boolean
}

/** Within the offsets it is about: `at` and `length` modulo their number. */
export interface AbstractRange {
  at: number
  length: number
  hasTombstones: boolean
}

export interface AbstractReplace {
  op: 'replace' | 'compact'
  partitions: AbstractReplacement[]
  numbers: number[]
  idFault: IdFault
  request: RequestNumber
}

export interface AbstractCommit {
  op: 'commit'
  partitions: AbstractReplacement[]
  request: RequestNumber
}

export interface AbstractStart {
  op: 'start'
  slot: number
  to: 'inside' | 'boundary' | 'next' | 'beyond' | 'back'
  at: number
}

export interface AbstractRemove {
  op: 'remove'
  topics: number[]
  unknown: boolean
}

/** The same call again, the `back`th last. */
export interface AbstractRetry {
  op: 'retry'
  back: number
}

/** A good call with one thing wrong that the model must refuse as malformed. */
export interface AbstractMalformed {
  op: 'malformed'
  fault: number
  base: AbstractAdd | AbstractReplace | AbstractCommit | AbstractStart | AbstractRemove
}

export type AbstractOperation =
  | AbstractAdd
  | AbstractResend
  | AbstractReplace
  | AbstractCommit
  | AbstractStart
  | AbstractRemove
  | AbstractRetry
  | AbstractMalformed

const small = (max: number): fc.Arbitrary<number> => fc.nat({ max })
const slot = small(SLOTS - 1)
const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(usual) }, fc.constantFrom(...others))
const numbers = fc.array(small(40), { minLength: 1, maxLength: 8 })
const request = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: small(60) },
)
const idFault = fc.oneof(
  { weight: 15, arbitrary: fc.constant('none' as const) },
  fc.constantFrom<IdFault>('unknown', 'committed', 'foreign'),
)

const addPartition: fc.Arbitrary<AbstractAddPartition> = fc.record({
  slot,
  lengths: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
  shift: mostly(0, -3, -1, 1, 4, 1000),
  termStep: mostly(0, 1, 2, -1, -2, 1),
  extraTerms: mostly(0, 1, 2),
})

const add: fc.Arbitrary<AbstractAdd> = fc.record({
  op: fc.constant('add' as const),
  partitions: fc.uniqueArray(addPartition, { minLength: 1, maxLength: 4, selector: p => p.slot }),
  numbers,
  idFault,
  late: mostly(false, true),
  request,
})

const resend: fc.Arbitrary<AbstractResend> = fc.record({
  op: fc.constant('resend' as const),
  pick: small(1000),
  change: fc.constantFrom('none', 'none', 'order', 'footer', 'size', 'extent', 'terms'),
  mixWithNew: mostly(false, true),
  request,
})

const interval: fc.Arbitrary<AbstractInterval> = fc.record({
  from: small(20),
  count: fc.integer({ min: 1, max: 5 }),
  pieces: fc.integer({ min: 1, max: 3 }),
  baseShift: mostly(0, -1, 1),
  lastShift: mostly(0, -1, 1, 2),
})

const range: fc.Arbitrary<AbstractRange> = fc.record({
  at: small(60),
  length: small(30),
  hasTombstones: fc.boolean(),
})

const replacement: fc.Arbitrary<AbstractReplacement> = fc.record({
  slot,
  intervals: fc.array(interval, { minLength: 1, maxLength: 2 }),
  reach: fc.constantFrom('extent', 'first', 'first', 'below', 'stale'),
  epochDelta: mostly(0, 1),
  cleaned: fc.array(range, { maxLength: 3 }),
  removed: fc.array(
    fc.record({
      pick: small(5),
      chain: small(1),
      trimBase: mostly(0, 1, 2, -1),
      trimLast: mostly(0, 1, 2, -1),
    }),
    { maxLength: 2 },
  ),
  cleanedAt: small(9),
  keepUnknown: mostly(false, true),
})

const replacements = fc.uniqueArray(replacement, {
  minLength: 1,
  maxLength: 3,
  selector: p => p.slot,
})

const replace: fc.Arbitrary<AbstractReplace> = fc.record({
  op: fc.constantFrom('replace', 'compact'),
  partitions: replacements,
  numbers,
  idFault,
  request,
})

const commit: fc.Arbitrary<AbstractCommit> = fc.record({
  op: fc.constant('commit' as const),
  partitions: replacements,
  request,
})

const start: fc.Arbitrary<AbstractStart> = fc.record({
  op: fc.constant('start' as const),
  slot,
  to: fc.constantFrom('inside', 'inside', 'boundary', 'boundary', 'next', 'beyond', 'back'),
  at: small(30),
})

const remove: fc.Arbitrary<AbstractRemove> = fc.record({
  op: fc.constant('remove' as const),
  topics: fc.array(small(TOPIC_SLOTS - 1), { minLength: 1, maxLength: 2 }),
  unknown: fc.boolean(),
})

const retry: fc.Arbitrary<AbstractRetry> = fc.record({
  op: fc.constant('retry' as const),
  back: small(5),
})

const malformed: fc.Arbitrary<AbstractMalformed> = fc.record({
  op: fc.constant('malformed' as const),
  fault: small(MALFORMATIONS.length - 1),
  base: fc.oneof<fc.Arbitrary<AbstractMalformed['base']>[]>(add, replace, commit, start, remove),
})

export const operation: fc.Arbitrary<AbstractOperation> = fc.oneof(
  { weight: 70, arbitrary: add },
  { weight: 55, arbitrary: replace },
  { weight: 20, arbitrary: commit },
  { weight: 15, arbitrary: start },
  { weight: 12, arbitrary: resend },
  { weight: 12, arbitrary: retry },
  { weight: 12, arbitrary: malformed },
  { weight: 1, arbitrary: remove },
)

/** @param lengthMax operations in a sequence at most */
export function operations(lengthMax: number): fc.Arbitrary<AbstractOperation[]> {
  return fc.array(operation, { minLength: 1, maxLength: lengthMax, size: 'max' })
}
