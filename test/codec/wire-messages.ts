/** Messages between members for tests: one of each type, and random ones. */
import fc from 'fast-check'
import {
  WIRE_MESSAGE_TYPES,
  type WireEntry,
  type WireMessage,
  type WireMessageType,
  type WireSnapshot,
} from '../../src/codec/raft-messages.ts'
import type { Message } from '../../src/main/raft/message.ts'

export const FROM = 7
export const TO = 8

/** What a type does not use is empty, as in message() of the core. */
export function wireMessage(
  type: WireMessageType,
  fields: Partial<WireMessage> = {},
): WireMessage & Message {
  return {
    ...{ from: FROM, to: TO, term: 0, logTerm: 0, index: 0, entries: [], commit: 0 },
    ...{ snapshot: undefined, reject: false, rejectHint: 0, round: 0, context: 0, transfer: false },
    ...fields,
    type,
  }
}

export const SNAPSHOT: WireSnapshot = {
  index: 1000,
  term: 4,
  configuration: {
    voters: [1, 2, 300],
    votersOutgoing: [1, 2],
    learners: [4],
    learnersNext: [],
    autoLeave: true,
  },
  data: Uint8Array.of(1, 2, 3),
}

const ENTRIES: readonly WireEntry[] = [
  { term: 4, index: 100, kind: 1, payload: Uint8Array.of(10, 11) },
  { term: 5, index: 101, kind: 255, payload: new Uint8Array(0) },
]

/** Two heartbeats and two of their responses: the second ones lean on the first. */
export const ONE_OF_EACH: readonly [group: number, message: WireMessage & Message][] = [
  [0, wireMessage('vote', { term: 5, index: 99, logTerm: 4, transfer: true })],
  [1, wireMessage('voteResponse', { term: 5, reject: true })],
  [1, wireMessage('preVote', { term: 6, index: 99, logTerm: 4 })],
  [1, wireMessage('preVoteResponse', { term: 6 })],
  [2, wireMessage('append', { term: 6, index: 99, logTerm: 4, commit: 98, entries: ENTRIES })],
  [3, wireMessage('appendResponse', { term: 6, index: 101 })],
  [
    9,
    wireMessage('appendResponse', { term: 6, index: 9, reject: true, rejectHint: 7, logTerm: 2 }),
  ],
  [10, wireMessage('heartbeat', { term: 6, commit: 50_000, round: 300 })],
  [11, wireMessage('heartbeat', { term: 6, commit: 50_000, round: 300 })],
  [12, wireMessage('heartbeatResponse', { term: 6, round: 300 })],
  [13, wireMessage('heartbeatResponse', { term: 6, round: 301 })],
  [14, wireMessage('snapshot', { term: 6, snapshot: SNAPSHOT })],
  [15, wireMessage('timeoutNow', { term: 6 })],
  [16, wireMessage('transferLeader', { term: 6, from: 9 })],
  [17, wireMessage('readIndex', { context: 2 ** 40 })],
  [18, wireMessage('readIndexResponse', { term: 6, context: 3, index: 101 })],
  [
    19,
    wireMessage('propose', {
      from: 9,
      entries: [{ term: 0, index: 0, kind: 3, payload: Uint8Array.of(5) }],
    }),
  ],
]

const plain = { noNullPrototype: true }
const number = fc.oneof(fc.nat(300), fc.maxSafeNat())
/** So that sums with counts stay safe. */
const index = fc.oneof(fc.nat(300), fc.nat({ max: 2 ** 31 - 1 }), fc.constant(2 ** 53 - 9))
const payload = fc.uint8Array({ maxLength: 40 })
const kind = fc.nat(255)
const members = fc
  .uniqueArray(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2 ** 53 - 1 })), {
    maxLength: 4,
  })
  .map(ids => ids.sort((a, b) => a - b))
const configuration = fc.record(
  {
    ...{ voters: members, votersOutgoing: members, learners: members, learnersNext: members },
    autoLeave: fc.boolean(),
  },
  plain,
)
const snapshot = fc.record({ index: number, term: number, configuration, data: payload }, plain)
const rises = fc.array(fc.record({ rise: fc.nat(3), kind, payload }, plain), { maxLength: 5 })
const from = fc.constantFrom(FROM, 9, 2 ** 50)

const fields: Record<WireMessageType, fc.Arbitrary<Partial<WireMessage>>> = {
  vote: fc.record({ term: number, index: number, logTerm: number, transfer: fc.boolean() }),
  preVote: fc.record({ term: number, index: number, logTerm: number, transfer: fc.boolean() }),
  voteResponse: fc.record({ term: number, reject: fc.boolean() }),
  preVoteResponse: fc.record({ term: number, reject: fc.boolean() }),
  append: fc
    .tuple(fc.record({ term: number, index, logTerm: index, commit: number }), rises)
    .map(([base, list]) => {
      let { logTerm: term } = base
      const entries = list.map(({ rise, kind, payload }, at): WireEntry => {
        term += rise
        return { term, index: base.index + 1 + at, kind, payload }
      })
      const isSafe = Number.isSafeInteger(term)
      return { ...base, entries: isSafe ? entries : [] }
    }),
  appendResponse: fc.oneof(
    fc.record({ term: number, index: number }),
    fc.record({
      ...{ term: number, index: number, rejectHint: number, logTerm: number },
      reject: fc.constant(true),
    }),
  ),
  heartbeat: fc.record({ term: number, commit: number, round: number }),
  heartbeatResponse: fc.record({ term: number, round: number }),
  snapshot: fc.record({ term: number, snapshot }),
  timeoutNow: fc.record({ term: number }),
  transferLeader: fc.record({ term: number, from }),
  readIndex: fc.record({ term: number, from, context: number }),
  readIndexResponse: fc.record({ term: number, context: number, index: number }),
  propose: fc.record({ from, list: rises }).map(({ from, list }) => ({
    from,
    entries: list.map(({ kind, payload }) => ({ term: 0, index: 0, kind, payload })),
  })),
}

const message = fc
  .constantFrom(...WIRE_MESSAGE_TYPES)
  .chain(type => fields[type].map(given => wireMessage(type, given)))

/** Several messages of groups in any order, many of them neighbours. */
export const batches: fc.Arbitrary<[number, WireMessage][]> = fc.array(
  fc.tuple(fc.oneof(fc.nat(20), fc.nat({ max: 2 ** 32 - 1 })), message),
  { minLength: 1, maxLength: 12 },
)
