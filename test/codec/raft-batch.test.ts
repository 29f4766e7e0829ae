/**
 * Goal: Raft messages come over the wire as they were, in few bytes, and no bytes can do harm.
 * Method: golden bytes; round trips of one of each type and of random batches; every cut, random
 * flips and random bytes; counts that lie; all messages of random clusters (test/raft).
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { ByteWriter, toHex } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FRAME_RAFT } from '../../src/codec/frame-format.ts'
import { decodeRaftBatch } from '../../src/codec/raft-batch-reader.ts'
import { RaftBatchWriter } from '../../src/codec/raft-batch-writer.ts'
import {
  BATCH_ENTRIES_MAX,
  BATCH_MESSAGES_MAX,
  type GroupMessage,
  WIRE_MESSAGE_TYPES,
  type WireMessage,
} from '../../src/codec/raft-messages.ts'
import type { Message } from '../../src/main/raft/message.ts'
import { batches, FROM, ONE_OF_EACH, SNAPSHOT, TO, wireMessage } from './wire-messages.ts'

const GOLDEN: readonly string[] = [
  '51 05 63 04',
  '72',
  '03 01 06 63 04',
  '24 01',
  '35 63 04 62  02  00 01 02 0a0b  01 ff 00',
  '36 65',
  '66 09 09 07 02',
  '37 d08603 ac02',
  'f7',
  'b8',
  '38 ad02',
  '39 e807 04  03 01 01 aa02  02 01 01  01 04  00  01  03 010203',
  '3a',
  'bb 09',
  '1c 00 808080808020',
  '1d 06 03 65',
  '9e 00 09 01 03 01 05',
]

/** The content of the frame, without header and type. */
function encoded(messages: readonly (readonly [number, WireMessage])[], self = FROM): Uint8Array {
  const writer = new RaftBatchWriter(self)
  for (const [group, message] of messages) writer.add(group, message)
  const frame = writer.finish()
  assert.equal(frame[FRAME_HEADER_BYTES], FRAME_RAFT)
  return frame.subarray(FRAME_HEADER_BYTES + 1)
}

function grouped(messages: readonly (readonly [number, WireMessage])[]): object[] {
  return messages.map(([group, message]) => ({ group, message }))
}

/** What the decoder says to these bytes; anything but messages or CORRUPTION is a failure. */
function tried(content: Uint8Array): GroupMessage[] | undefined {
  try {
    return decodeRaftBatch(content, FROM, TO)
  } catch (error) {
    if (error instanceof MetastoreError && error.code === 'CORRUPTION') return undefined
    throw error
  }
}

test('there is one of each type, and they have their golden bytes', () => {
  assert.deepEqual(
    [...new Set(ONE_OF_EACH.map(([, { type }]) => type))].sort(),
    [...WIRE_MESSAGE_TYPES].sort(),
  )
  assert.equal(toHex(encoded(ONE_OF_EACH)), GOLDEN.map(line => line.replaceAll(' ', '')).join(''))
})

test('one of each type comes back as it was', () => {
  const decoded = decodeRaftBatch(encoded(ONE_OF_EACH), FROM, TO)
  assert.deepEqual(decoded, grouped(ONE_OF_EACH))
  // The core takes what comes out as it is.
  const first: Message = decoded[0].message
  assert.equal(first.type, 'vote')
})

test('random batches come back as they were', () => {
  fc.assert(
    fc.property(batches, messages => {
      assert.deepEqual(decodeRaftBatch(encoded(messages), FROM, TO), grouped(messages))
    }),
    { numRuns: 500 },
  )
})

test('every cut is CORRUPTION or a batch of the messages before it', () => {
  const content = encoded(ONE_OF_EACH)
  let whole = 0
  for (let end = 0; end < content.length; end++) {
    const decoded = tried(content.slice(0, end))
    if (decoded === undefined) continue
    whole++
    assert.deepEqual(decoded, grouped(ONE_OF_EACH.slice(0, decoded.length)))
  }
  assert.equal(whole, ONE_OF_EACH.length)
})

test('flipped bytes are CORRUPTION or decode to what can be written again', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  let refused = 0
  fc.assert(
    fc.property(batches, flips, (messages, changes) => {
      const content = encoded(messages).slice()
      for (const [at, bits] of changes) content[at % content.length] ^= bits
      if (!isWellFormed(content)) refused++
    }),
    { numRuns: 2000 },
  )
  assert.ok(refused > 0)
})

test('random bytes are CORRUPTION or decode to what can be written again', () => {
  let refused = 0
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), content => {
      if (!isWellFormed(content)) refused++
    }),
    { numRuns: 2000 },
  )
  assert.ok(refused > 0)
})

/** Everything that decodes has safe numbers and known types, or the writer would refuse it. */
function isWellFormed(content: Uint8Array): boolean {
  const decoded = tried(content)
  if (decoded === undefined) return false
  const messages = decoded.map(({ group, message }) => [group, message] as const)
  assert.deepEqual(decodeRaftBatch(encoded(messages), FROM, TO), decoded)
  return true
}

test('errors name the message and the field', () => {
  const vote = wireMessage('vote', { term: 5, index: 99, logTerm: 4 })
  const propose = wireMessage('propose', { entries: [entry(0, 0)] })
  const append = wireMessage('append', { index: 9, entries: [entry(0, 10)] })
  const cases: [string, Uint8Array, RegExp][] = [
    ['a cut', encoded([[0, vote]]).subarray(0, -1), /message 0, logTerm/],
    ['type 0', Uint8Array.of(0), /message 0, type: unknown type 0/],
    ['type 15', Uint8Array.of(...encoded([[0, vote]]), 15), /message 1, type: unknown type 15/],
    ['a flag', Uint8Array.of(0x3a | 0x40), /type: timeoutNow with unknown flags 64/],
    ['a group', Uint8Array.of(0x2a, 255, 255, 255, 255, 31), /group: \d+ is more/],
    ['a count', encoded([[0, propose]]).fill(120, 1, 2), /entries: 120 of them, where 1 are/],
    ['an index', Uint8Array.of(0x35, ...MAX, 0, 0, 1, 0, 0, 0), /entries: .* past 2\^53/],
    ['a term', Uint8Array.of(0x35, 0, ...MAX, 0, 1, 1, 0, 0), /term of an entry: .* past 2\^53/],
    ['a payload', encoded([[0, append]]).subarray(0, -1), /payload of an entry/],
    ['voters', Uint8Array.of(0x39, 0, 0, 9, 1, 1), /voters: 9 of them/],
    ['a voter', Uint8Array.of(0x39, 0, 0, 2, 1, 0, 0, 0, 0, 0), /voters: 1 is there twice/],
    ['autoLeave', Uint8Array.of(0x39, 0, 0, 0, 0, 0, 0, 2, 0), /autoLeave: 2 is neither/],
  ]
  for (const [what, content, message] of cases) {
    assert.throws(
      () => decodeRaftBatch(content, FROM, TO),
      { code: 'CORRUPTION', message },
      `${what}: ${toHex(content)}`,
    )
  }
})

const MAX = [255, 255, 255, 255, 255, 255, 255, 15]

function entry(term: number, index: number): WireMessage['entries'][number] {
  return { term, index, kind: 1, payload: Uint8Array.of(1) }
}

test('many messages in few bytes are refused before they fill the memory', () => {
  const tiny = new Uint8Array(BATCH_MESSAGES_MAX + 1).fill(0x3a)
  assert.equal(decodeRaftBatch(tiny.subarray(1), FROM, TO).length, BATCH_MESSAGES_MAX)
  assert.throws(() => decodeRaftBatch(tiny, FROM, TO), {
    code: 'CORRUPTION',
    message: /too many messages/,
  })
})

test('many entries in few bytes are refused before they fill the memory', () => {
  // A propose of the next group in the same term; an entry of it is two zeros.
  const count = new ByteWriter()
    .u8(0x3e)
    .varint(BATCH_ENTRIES_MAX + 1)
    .take()
  const content = new Uint8Array(count.length + 2 * (BATCH_ENTRIES_MAX + 1))
  content.set(count)
  assert.throws(() => decodeRaftBatch(content, FROM, TO), {
    code: 'CORRUPTION',
    message: /entries: 1048577 of them, where 1048576 are possible/,
  })
})

test('what does not fit is INVALID_REQUEST, and the batch is as it was before', () => {
  const wrong: [string, WireMessage | Message, RegExp][] = [
    ['own', { ...wireMessage('vote'), type: 'appended' }, /type: appended/],
    ['from', wireMessage('vote', { from: 9 }), /from of vote/],
    ['negative', wireMessage('vote', { term: -1 }), /term must .* -1/],
    ['broken', wireMessage('vote', { index: 1.5 }), /index must .* 1.5/],
    ['huge', wireMessage('heartbeat', { commit: 2 ** 53 }), /commit must/],
    ['round', wireMessage('heartbeatResponse', { round: Number.NaN }), /round must .* NaN/],
    ['gap', wireMessage('append', { index: 1, entries: [entry(1, 3)] }), /index of entry 0/],
    ['term', wireMessage('append', { logTerm: 2, entries: [entry(1, 1)] }), /term of entry 0/],
    ['kind', wireMessage('propose', { entries: [{ ...entry(0, 0), kind: 256 }] }), /kind .* 256/],
    ['none', wireMessage('snapshot'), /snapshot/],
    ['order', snapshotOf([2, 1]), /voters must ascend/],
    ['nobody', snapshotOf([0]), /voters must ascend/],
    [
      'size',
      wireMessage('snapshot', { snapshot: { ...SNAPSHOT, data: new Uint8Array(FRAME_BYTES_MAX) } }),
      /larger than a frame/,
    ],
  ]
  for (const [what, message, pattern] of wrong) {
    const writer = new RaftBatchWriter(FROM)
    writer.add(4, ONE_OF_EACH[7][1])
    const { bytes } = writer
    const expected = { code: 'INVALID_REQUEST', message: pattern }
    assert.throws(() => writer.add(5, message), expected, what)
    assert.equal(writer.bytes, bytes)
    writer.add(5, ONE_OF_EACH[8][1])
    assert.deepEqual(
      decodeRaftBatch(writer.finish().subarray(FRAME_HEADER_BYTES + 1), FROM, TO),
      grouped([
        [4, ONE_OF_EACH[7][1]],
        [5, ONE_OF_EACH[8][1]],
      ]),
    )
  }
  assert.throws(() => new RaftBatchWriter(FROM).add(2 ** 32, wireMessage('timeoutNow')), {
    code: 'INVALID_REQUEST',
    message: /group must/,
  })
})

function snapshotOf(voters: number[]): WireMessage {
  const configuration = { ...SNAPSHOT.configuration, voters }
  return wireMessage('snapshot', { snapshot: { ...SNAPSHOT, configuration } })
}

test('heartbeats of a thousand quiet groups take a few bytes each', () => {
  const beats = Array.from({ length: 1000 }, (_, group): [number, WireMessage] => [
    group,
    wireMessage('heartbeat', { term: 7, commit: 1_000_000 + 37 * group, round: 50_000 }),
  ])
  const answers = Array.from({ length: 1000 }, (_, group): [number, WireMessage] => [
    group,
    wireMessage('heartbeatResponse', { term: 7, round: 50_000 }),
  ])
  assert.ok(encoded(beats).length <= 4 * 1000 + 8, `${encoded(beats).length} bytes`)
  assert.ok(encoded(answers).length <= 1000 + 8, `${encoded(answers).length} bytes`)
})

test('a batch is full long before it reaches the limits of a frame', () => {
  const heartbeats = new RaftBatchWriter(FROM)
  while (!heartbeats.isFull) heartbeats.add(0, wireMessage('timeoutNow'))
  assert.equal(decodeRaftBatch(contentOf(heartbeats), FROM, TO).length, 4096)
  const large = new RaftBatchWriter(FROM)
  const payload = new Uint8Array(100_000)
  while (!large.isFull)
    large.add(0, wireMessage('propose', { entries: [{ ...entry(0, 0), payload }] }))
  assert.equal(decodeRaftBatch(contentOf(large), FROM, TO).length, 11)
})

function contentOf(writer: RaftBatchWriter): Uint8Array {
  return writer.finish().subarray(FRAME_HEADER_BYTES + 1)
}
