/**
 * Goal: only members of the cluster that know its secret get through, on either side.
 * Method: the two sides talk without a socket; then one of them lies, in each way there is.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  emptyFrame,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FRAME_PING,
  type Frame,
  frameLength,
  frameOf,
} from '../../../src/codec/frame-format.ts'
import { encodeHello } from '../../../src/codec/handshake-format.ts'
import {
  AcceptorHandshake,
  type HandshakeStep,
  InitiatorHandshake,
} from '../../../src/main/net/handshake.ts'

const CLUSTER = '00112233-4455-4677-8899-aabbccddeeff'
const OTHER = 'ffffffff-4455-4677-8899-aabbccddeeff'
const ONE = { clusterId: CLUSTER, nodeId: 1, secret: 'secret' }
const TWO = { clusterId: CLUSTER, nodeId: 2, secret: 'secret' }

let nonceCount = 0
/** Never the same. */
function nonces(): Uint8Array {
  nonceCount++
  return new Uint8Array(32).fill(nonceCount)
}

function opened(bytes: Uint8Array | undefined): Frame {
  assert.ok(bytes !== undefined)
  frameLength(bytes, FRAME_BYTES_MAX)
  return frameOf(bytes, bytes.subarray(FRAME_HEADER_BYTES))
}

function replyOf(step: HandshakeStep): Frame {
  assert.ok('reply' in step, JSON.stringify(step))
  return opened(step.reply)
}

function refusalOf(step: HandshakeStep): string {
  assert.ok('refusal' in step, JSON.stringify(step))
  return step.refusal
}

test('two members come to know each other', () => {
  const initiator = new InitiatorHandshake(ONE, 2, nonces)
  const acceptor = new AcceptorHandshake(TWO, nonces)
  assert.equal(acceptor.hasGreeted, false)
  const challenge = replyOf(acceptor.receive(opened(initiator.opening)))
  assert.equal(acceptor.hasGreeted, true)
  const proof = replyOf(initiator.receive(challenge))
  const last = acceptor.receive(proof)
  assert.ok('peer' in last && last.peer === 1)
  assert.deepEqual(initiator.receive(replyOf(last)), { peer: 2 })
})

test('a hello of another version, cluster, or to another node is refused without an answer', () => {
  const nonce = nonces()
  const hello = { clusterId: CLUSTER, from: 1, to: 2, nonce }
  const cases: [Uint8Array, string][] = [
    [encodeHello(hello, 2), 'version'],
    [encodeHello({ ...hello, clusterId: OTHER }), 'cluster'],
    [encodeHello({ ...hello, to: 3 }), 'node'],
    [encodeHello({ ...hello, from: 2 }), 'node'],
    [emptyFrame(FRAME_PING), 'malformed'],
  ]
  for (const [bytes, refusal] of cases) {
    const acceptor = new AcceptorHandshake(TWO, nonces)
    assert.equal(refusalOf(acceptor.receive(opened(bytes))), refusal)
    assert.equal(acceptor.hasGreeted, false)
  }
})

test('another secret, or none, is refused by the acceptor', () => {
  for (const secret of ['Secret', '']) {
    const initiator = new InitiatorHandshake({ ...ONE, secret }, 2, nonces)
    const acceptor = new AcceptorHandshake(TWO, nonces)
    const challenge = replyOf(acceptor.receive(opened(initiator.opening)))
    const proof = replyOf(initiator.receive(challenge))
    assert.equal(refusalOf(acceptor.receive(proof)), 'secret')
  }
})

test('an acceptor that does not know the secret is refused by the initiator', () => {
  const initiator = new InitiatorHandshake(ONE, 2, nonces)
  // It lets everybody in; what it cannot do is to prove itself.
  const knowing = new AcceptorHandshake(TWO, () => new Uint8Array(32))
  const proof = replyOf(initiator.receive(replyOf(knowing.receive(opened(initiator.opening)))))
  const forged = { type: 4, content: new Uint8Array(32) }
  assert.equal(refusalOf(initiator.receive(forged)), 'secret')
  assert.equal(proof.type, 3)
})

test('a proof is worth nothing to another nonce, nor turned round', () => {
  const initiator = new InitiatorHandshake(ONE, 2, nonces)
  const first = new AcceptorHandshake(TWO, nonces)
  const proof = replyOf(initiator.receive(replyOf(first.receive(opened(initiator.opening)))))
  const second = new AcceptorHandshake(TWO, nonces)
  second.receive(opened(initiator.opening))
  assert.equal(refusalOf(second.receive(proof)), 'secret', 'replayed')
  // The initiator's own proof, given back to it as a welcome.
  assert.equal(refusalOf(initiator.receive({ ...proof, type: 4 })), 'secret', 'reflected')
})

test('frames out of order are refused, those of a wrong size are CORRUPTION', () => {
  const initiator = new InitiatorHandshake(ONE, 2, nonces)
  assert.equal(refusalOf(initiator.receive({ type: 4, content: new Uint8Array(32) })), 'malformed')
  assert.throws(() => initiator.receive({ type: 2, content: new Uint8Array(31) }), {
    code: 'CORRUPTION',
  })
  const acceptor = new AcceptorHandshake(TWO, nonces)
  acceptor.receive(opened(initiator.opening))
  assert.equal(refusalOf(acceptor.receive(opened(initiator.opening))), 'malformed')
  assert.throws(() => acceptor.receive({ type: 3, content: new Uint8Array(33) }), {
    code: 'CORRUPTION',
  })
  assert.throws(
    () => new AcceptorHandshake(TWO, nonces).receive({ type: 1, content: new Uint8Array(9) }),
    {
      code: 'CORRUPTION',
    },
  )
})
