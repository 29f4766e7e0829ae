/**
 * Goal: who is no member of the cluster is refused, counted and logged, learns nothing, and neither
 * crashes nor slows the node.
 * Method: sockets that do each thing that a stranger can do, beside two members that go on asking
 * each other.
 */
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import test, { afterEach, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  emptyFrame,
  FRAME_PING,
  FRAME_PROOF,
  FRAME_RAFT,
  finishFrame,
  startFrame,
} from '../../../src/codec/frame-format.ts'
import { encodeHandshakeBytes, encodeHello } from '../../../src/codec/handshake-format.ts'
import type { Refusal } from '../../../src/main/net/incidents.ts'
import type { TransportOptions } from '../../../src/main/net/options.ts'
import { CLUSTER, cleanUp, closeAll, connectAll, ECHO, Member, Stranger, until } from './members.ts'

afterEach(cleanUp)

const OTHER_CLUSTER = '99999999-4455-4677-8899-aabbccddeeff'
/** Of a frame with 32 bytes. */
const CHALLENGE_BYTES = 41

function hello(fields: object = {}, version = 1): Uint8Array {
  const basic = { clusterId: CLUSTER, from: 3, to: 1, nonce: randomBytes(32) }
  return encodeHello({ ...basic, ...fields }, version)
}

/** Two members that are connected, and ask each other before and after. */
async function withMembers(
  options: Partial<TransportOptions>,
  run: (one: Member, two: Member) => Promise<void>,
): Promise<void> {
  const members = [await Member.start(1, options), await Member.start(2)]
  const [one, two] = members
  await connectAll(members)
  await run(one, two)
  assert.equal(await one.ask(2, ECHO, 'still there'), 'still there')
  assert.equal(await two.ask(1, ECHO, 'here too'), 'here too')
  // The links of the two have seen nothing of it.
  assert.deepEqual(
    [...one.links, ...two.links],
    [
      [2, true],
      [1, true],
    ],
  )
  await closeAll(members)
}

const damaged = hello().slice()
damaged[40] ^= 1
const hugeLength = Uint8Array.of(255, 255, 255, 255, 1, 2, 3, 4)
const tooLong = finishFrame(startFrame(1).raw(new Uint8Array(5000)))
const noHello = finishFrame(startFrame(1).raw(new Uint8Array(40)))

const REFUSED_AT_ONCE: [what: string, bytes: Uint8Array, refusal: Refusal][] = [
  ['random bytes', Uint8Array.of(200, 3, 77, 12, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9), 'malformed'],
  ['a request of HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'malformed'],
  ['a huge length', hugeLength, 'malformed'],
  ['a length of 0', new Uint8Array(8), 'malformed'],
  ['a frame larger than the handshake needs', tooLong, 'malformed'],
  ['a hello with a wrong checksum', damaged, 'malformed'],
  ['a hello of another protocol', noHello, 'malformed'],
  ['a ping before the handshake', emptyFrame(FRAME_PING), 'malformed'],
  ['Raft messages before the handshake', emptyFrame(FRAME_RAFT), 'malformed'],
  ['a proof before the hello', encodeHandshakeBytes(FRAME_PROOF, randomBytes(32)), 'malformed'],
  ['a hello from node 0', hello({ from: 0 }), 'malformed'],
  ['another version', hello({}, 2), 'version'],
  ['another cluster', hello({ clusterId: OTHER_CLUSTER }), 'cluster'],
  ['a hello to another node', hello({ to: 2 }), 'node'],
  ['a hello from this very node', hello({ from: 1 }), 'node'],
]

for (const [what, bytes, refusal] of REFUSED_AT_ONCE) {
  test(`${what}: refused without an answer, counted as ${refusal}`, async () => {
    await withMembers({}, async one => {
      const stranger = new Stranger(one.transport.port)
      stranger.socket.write(bytes)
      await stranger.closed()
      assert.equal(stranger.receivedBytes, 0)
      assert.equal(one.count(refusal), 1)
      assert.equal(one.warnings.filter(({ incident }) => incident === refusal).length, 1)
      assert.match(one.warnings[0].why ?? '', /./)
    })
  })
}

test('a wrong proof: refused after the challenge, with nothing to try secrets on', async () => {
  await withMembers({}, async one => {
    for (const [position, proof] of wrongProofs().entries()) {
      const stranger = new Stranger(one.transport.port)
      stranger.socket.write(hello())
      await until(() => stranger.receivedBytes === CHALLENGE_BYTES)
      stranger.socket.write(encodeHandshakeBytes(FRAME_PROOF, proof))
      await stranger.closed()
      assert.equal(stranger.receivedBytes, CHALLENGE_BYTES)
      assert.equal(one.count('secret'), position + 1)
    }
    // One line for all of them: the log is not for strangers to fill.
    assert.equal(one.warnings.filter(({ incident }) => incident === 'secret').length, 1)
    assert.equal(one.transport.isReachable(3), false)
  })
})

function wrongProofs(): Uint8Array[] {
  const random = Array.from({ length: 20 }, () => randomBytes(32))
  return [...random, new Uint8Array(32), createHmac('sha256', '').digest()]
}

test('frames of a member with a wrong proof in front are not looked at', async () => {
  await withMembers({}, async one => {
    const stranger = new Stranger(one.transport.port)
    const proof = encodeHandshakeBytes(FRAME_PROOF, randomBytes(32))
    stranger.socket.write(Buffer.concat([hello(), proof, emptyFrame(FRAME_RAFT), hugeLength]))
    await stranger.closed()
    assert.equal(one.count('secret'), 1)
    assert.equal(one.messages.length, 0)
  })
})

test('half a frame and the end: counted as closedEarly', async () => {
  await withMembers({}, async one => {
    for (const end of [0, 5, 30]) {
      const stranger = new Stranger(one.transport.port)
      stranger.socket.end(hello().subarray(0, end))
      await stranger.closed()
      assert.equal(stranger.receivedBytes, 0)
    }
    await until(() => one.count('closedEarly') === 3)
  })
})

test('idle, half a frame, byte by byte, without a proof: over after the timeout', async () => {
  await withMembers({ limits: { handshakeTimeoutMs: 150 } }, async one => {
    const idle = new Stranger(one.transport.port)
    const half = new Stranger(one.transport.port)
    half.socket.write(hello().subarray(0, 30))
    const unproven = new Stranger(one.transport.port)
    unproven.socket.write(hello())
    const slow = new Stranger(one.transport.port)
    const bytes = hello()
    for (let at = 0; at < bytes.length && !slow.isClosed; at++) {
      slow.socket.write(bytes.subarray(at, at + 1))
      await sleep(5)
    }
    await Promise.all([idle, half, unproven, slow].map(stranger => stranger.closed()))
    assert.equal(one.count('handshakeTimeout'), 4)
    assert.deepEqual(
      [idle, half, slow].map(({ receivedBytes }) => receivedBytes),
      [0, 0, 0],
    )
  })
})

test('strangers push out the oldest that has not said who it is, and no member', async () => {
  await withMembers({ limits: { strangersMax: 3 } }, async one => {
    const polite = new Stranger(one.transport.port)
    polite.socket.write(hello())
    await until(() => polite.receivedBytes === CHALLENGE_BYTES)
    const idle: Stranger[] = []
    for (let i = 0; i < 10; i++) {
      const stranger = new Stranger(one.transport.port)
      idle.push(stranger)
      await until(() => stranger.socket.readyState === 'open')
      await until(() => one.count('crowded') === Math.max(0, i - 1))
    }
    await until(() => idle.filter(({ isClosed }) => isClosed).length === 8)
    assert.deepEqual(
      [polite, ...idle.slice(8)].map(({ isClosed }) => isClosed),
      [false, false, false],
    )
    const three = await Member.start(3)
    three.transport.setPeers(new Map([[1, one.address]]))
    await until(() => three.transport.isReachable(1))
    await three.transport.close()
    for (const { socket } of [polite, ...idle]) socket.destroy()
  })
})

test('a thousand idle connections: members are answered as before', async t => {
  await withMembers({}, async (one, two) => {
    const before = await latencies(one, two)
    const strangers: Stranger[] = []
    let isDone = false
    const during: number[] = []
    const asking = (async () => {
      while (!isDone) during.push(...(await latencies(one, two)))
    })()
    for (let i = 0; i < 1000; i++) {
      const stranger = new Stranger(one.transport.port)
      // Some say a little.
      if (i % 3 === 0) stranger.socket.write(hello().subarray(0, i % 60))
      strangers.push(stranger)
      if (i % 50 === 49) await sleep(1)
    }
    await until(() => one.count('crowded') === 1000 - 256)
    during.push(...(await latencies(one, two)))
    isDone = true
    await asking
    // All were answered, or their deadline had made this fail.
    assert.ok(during.length > before.length)
    report(t, 'before', before)
    report(t, 'with a thousand strangers', during)
    for (const { socket } of strangers) socket.destroy()
    await Promise.all(strangers.map(stranger => stranger.closed()))
    await until(() => one.count('crowded') + one.count('closedEarly') === 1000)
  })
})

/** Milliseconds that requests took, each with a deadline of two seconds. */
async function latencies(one: Member, two: Member): Promise<number[]> {
  const taken: number[] = []
  for (let i = 0; i < 50; i++) {
    const start = performance.now()
    assert.equal(await two.ask(one.nodeId, ECHO, 'x', 2000), 'x')
    taken.push(performance.now() - start)
  }
  return taken
}

function report(t: TestContext, what: string, taken: number[]): void {
  taken.sort((a, b) => a - b)
  const at = (share: number): string => taken[Math.floor(share * (taken.length - 1))].toFixed(2)
  t.diagnostic(`${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${taken.length} requests`)
}
