/**
 * Goal: frames, handshake and requests are on the wire as docs/wire-format.md says, for ever, and
 * what is damaged is refused.
 * Method: golden bytes; round trips; every flipped bit and every cut of a frame.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { ERROR_CODES, MetastoreError } from '../../src/codec/errors.ts'
import {
  emptyFrame,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FRAME_PING,
  FRAME_PROOF,
  FRAME_RAFT,
  type Frame,
  finishFrame,
  frameLength,
  frameOf,
  startFrame,
} from '../../src/codec/frame-format.ts'
import {
  decodeHandshakeBytes,
  decodeHello,
  encodeHandshakeBytes,
  encodeHello,
  helloVersion,
  provenBytes,
} from '../../src/codec/handshake-format.ts'
import {
  CLOSE_REASONS,
  decodeClose,
  decodeRequest,
  decodeResponse,
  encodeClose,
  encodeRequest,
  encodeResponse,
} from '../../src/codec/request-format.ts'

const CLUSTER = '00112233-4455-4677-8899-aabbccddeeff'
const HELLO = { clusterId: CLUSTER, from: 1, to: 258, nonce: new Uint8Array(32).fill(7) }
const PAYLOAD = new TextEncoder().encode('hello')

function opened(bytes: Uint8Array): Frame {
  const length = frameLength(bytes, FRAME_BYTES_MAX)
  assert.equal(length, bytes.length - FRAME_HEADER_BYTES)
  return frameOf(bytes, bytes.subarray(FRAME_HEADER_BYTES))
}

test('every frame has its golden bytes', () => {
  const golden: [Uint8Array, string][] = [
    [emptyFrame(FRAME_PING), '010000002957deab09'],
    [
      encodeHello(HELLO),
      '3f0000007c77029b01574d4e54010000112233445546778899aabbccddeeff0100000002010000' +
        '07'.repeat(32),
    ],
    [encodeHandshakeBytes(FRAME_PROOF, HELLO.nonce), `21000000fefab99b03${'07'.repeat(32)}`],
    [
      encodeRequest({ id: 300, kind: 9, timeoutMs: 1000, payload: PAYLOAD }),
      '0b0000000e2b97dc06ac0209e80768656c6c6f',
    ],
    [encodeResponse({ id: 300, answer: PAYLOAD }), '0900000016cb271807ac020068656c6c6f'],
    [
      encodeResponse({
        id: 1,
        answer: new MetastoreError('CONFLICT', 'no', { details: { a: 1 } }),
      }),
      '1700000072cee05807010108434f4e464c494354026e6f077b2261223a317d',
    ],
    [encodeClose('replaced'), '02000000dbf90e670802'],
  ]
  for (const [bytes, hex] of golden) assert.equal(toHex(bytes), hex)
})

test('a hello comes back from its bytes', () => {
  const { content } = opened(encodeHello(HELLO))
  assert.equal(helloVersion(content), 1)
  assert.deepEqual(decodeHello(content), HELLO)
  assert.equal(helloVersion(opened(encodeHello(HELLO, 2)).content), 2)
})

test('a hello with another magic, node 0, or a wrong length is CORRUPTION', () => {
  const { content } = opened(encodeHello(HELLO))
  assert.throws(() => helloVersion(new Uint8Array(64)), { code: 'CORRUPTION', message: /magic/ })
  assert.throws(() => helloVersion(content.subarray(0, 5)), { code: 'CORRUPTION' })
  const without = { ...HELLO, from: 0 }
  assert.throws(() => decodeHello(opened(encodeHello(without)).content), {
    code: 'CORRUPTION',
    message: /from must be/,
  })
  const beyond = { ...HELLO, to: 2 ** 31 }
  assert.throws(() => decodeHello(opened(encodeHello(beyond)).content), {
    code: 'CORRUPTION',
    message: /to must be/,
  })
  assert.throws(() => decodeHello(content.subarray(0, -1)), { code: 'CORRUPTION' })
  assert.throws(() => decodeHello(Uint8Array.of(...content, 0)), { code: 'CORRUPTION' })
  assert.throws(() => decodeHandshakeBytes(new Uint8Array(31), 32, 'proof'), {
    code: 'CORRUPTION',
    message: /proof/,
  })
})

test('what is proven has its golden bytes, and differs with everything that it binds', () => {
  const nonce = new Uint8Array(32).fill(9)
  const proven = toHex(provenBytes('initiator', HELLO, nonce))
  assert.equal(
    proven,
    '16' +
      '7761796d61726b206d656d6265722070726f6f662031' +
      '01010000112233445546778899aabbccddeeff0100000002010000' +
      '07'.repeat(32) +
      '09'.repeat(32),
  )
  const others = [
    provenBytes('acceptor', HELLO, nonce),
    provenBytes('initiator', { ...HELLO, from: 3 }, nonce),
    provenBytes('initiator', { ...HELLO, to: 3 }, nonce),
    provenBytes('initiator', { ...HELLO, clusterId: CLUSTER.replace('0', '1') }, nonce),
    provenBytes('initiator', { ...HELLO, nonce }, nonce),
    provenBytes('initiator', HELLO, HELLO.nonce),
  ]
  assert.equal(new Set([proven, ...others.map(toHex)]).size, 7)
})

test('requests and responses come back from their bytes', () => {
  const kind = fc.nat(255)
  const payload = fc.uint8Array({ maxLength: 300 })
  const number = fc.maxSafeNat()
  const plain = { noNullPrototype: true }
  const request = fc.record({ id: number, kind, timeoutMs: number, payload }, plain)
  fc.assert(
    fc.property(request, value => {
      assert.deepEqual(decodeRequest(opened(encodeRequest(value)).content), value)
    }),
  )
  const response = fc.record({ id: number, answer: payload }, plain)
  fc.assert(
    fc.property(response, value => {
      assert.deepEqual(decodeResponse(opened(encodeResponse(value)).content), value)
    }),
  )
})

test('an error comes back with its code, message and details', () => {
  for (const code of ERROR_CODES) {
    const error = new MetastoreError(code, `of ${code}`, { details: { partition: 3 } })
    const { answer } = decodeResponse(opened(encodeResponse({ id: 1, answer: error })).content)
    assert.ok(answer instanceof MetastoreError)
    assert.deepEqual(
      [answer.code, answer.message, answer.details],
      [code, `of ${code}`, { partition: 3 }],
    )
  }
})

test('details that do not fit or are no JSON stay behind, and a long message is cut', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const details of [circular, { text: 'x'.repeat(70_000) }, { big: 1n }]) {
    const error = new MetastoreError('CONFLICT', 'm'.repeat(5000), { details })
    const { answer } = decodeResponse(opened(encodeResponse({ id: 1, answer: error })).content)
    assert.ok(answer instanceof MetastoreError)
    assert.equal(answer.details, undefined)
    assert.equal(answer.message.length, 4096)
  }
})

test('requests that do not fit are INVALID_REQUEST naming the field', () => {
  const request = { id: 1, kind: 1, timeoutMs: 1, payload: PAYLOAD }
  const wrong: [object, RegExp][] = [
    [{ kind: 256 }, /kind .* 256/],
    [{ kind: 1.5 }, /kind .* 1.5/],
    [{ timeoutMs: -1 }, /timeoutMs .* -1/],
    [{ payload: new Uint8Array(FRAME_BYTES_MAX) }, /larger than/],
  ]
  for (const [fields, message] of wrong) {
    assert.throws(() => encodeRequest({ ...request, ...fields }), {
      code: 'INVALID_REQUEST',
      message,
    })
  }
})

test('a response with an unknown status, code or details is CORRUPTION', () => {
  const error = new MetastoreError('CONFLICT', 'no', { details: { a: 1 } })
  const { content } = opened(encodeResponse({ id: 1, answer: error }))
  const change = (at: number, byte: number): Uint8Array =>
    content.map((b, i) => (i === at ? byte : b))
  for (const damaged of [change(1, 2), change(3, 0x58), change(15, 0x58), content.subarray(0, 9)]) {
    assert.throws(() => decodeResponse(damaged), { code: 'CORRUPTION' })
  }
})

test('reasons of a close come back; an unknown one is CORRUPTION', () => {
  for (const reason of CLOSE_REASONS) {
    assert.equal(decodeClose(opened(encodeClose(reason)).content), reason)
  }
  assert.throws(() => decodeClose(Uint8Array.of(CLOSE_REASONS.length)), { code: 'CORRUPTION' })
  assert.throws(() => decodeClose(new Uint8Array(0)), { code: 'CORRUPTION' })
})

test('a length of 0 or past the limit is CORRUPTION', () => {
  const header = emptyFrame(FRAME_PING).slice(0, FRAME_HEADER_BYTES)
  for (const length of [0, 4097, 2 ** 32 - 1]) {
    new DataView(header.buffer).setUint32(0, length, true)
    assert.throws(() => frameLength(header, 4096), {
      code: 'CORRUPTION',
      message: new RegExp(`${length} bytes`),
    })
  }
})

test('no single flipped bit leaves a frame of the same length valid', () => {
  const frame = encodeRequest({ id: 300, kind: 9, timeoutMs: 1000, payload: PAYLOAD })
  for (let at = 4; at < frame.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = frame.slice()
      damaged[at] ^= 1 << bit
      assert.throws(() => opened(damaged), { code: 'CORRUPTION' }, `byte ${at} bit ${bit}`)
    }
  }
})

test('a frame larger than the limit is refused by its sender', () => {
  const writer = startFrame(FRAME_RAFT, FRAME_BYTES_MAX)
  writer.raw(new Uint8Array(FRAME_BYTES_MAX - 1))
  assert.equal(opened(finishFrame(writer)).content.length, FRAME_BYTES_MAX - 1)
  assert.throws(() => finishFrame(writer.u8(0)), { code: 'INVALID_REQUEST', message: /larger/ })
})
