/**
 * Goal: members reach each other, and what cannot be delivered is dropped, counted or refused with
 * an error that says what is known; nothing is left behind.
 * Method: transports on loopback, and members that are only a socket, whose every byte the test
 * decides.
 */
import assert from 'node:assert/strict'
import test, { afterEach } from 'node:test'
import { MetastoreError } from '../../../src/codec/errors.ts'
import {
  emptyFrame,
  FRAME_CLOSE,
  FRAME_PING,
  FRAME_PONG,
  FRAME_RAFT,
  FRAME_REQUEST,
  FRAME_WELCOME,
  finishFrame,
  startFrame,
} from '../../../src/codec/frame-format.ts'
import { decodeRaftBatch } from '../../../src/codec/raft-batch-reader.ts'
import { decodeClose, encodeRequest } from '../../../src/codec/request-format.ts'
import type { TransportLimits } from '../../../src/main/net/options.ts'
import { Transport } from '../../../src/main/net/transport.ts'
import { message } from '../../../src/main/raft/message.ts'
import { ManualClock } from './manual-clock.ts'
import {
  cleanUp,
  closeAll,
  connectAll,
  connectRaw,
  ECHO,
  framesOf,
  HELD,
  HOST,
  listenRaw,
  Member,
  type RawMember,
  until,
} from './members.ts'

afterEach(cleanUp)

const QUICK: Partial<TransportLimits> = { reconnectMsMin: 5, reconnectMsMax: 20 }

test('messages arrive in order, those of a turn in one frame', async () => {
  const members = [await Member.start(1), await Member.start(2)]
  const [one, two] = members
  await connectAll(members)
  const before = one.transport.counters().framesSent
  for (let group = 0; group < 100; group++) assert.ok(one.say(2, 7, group))
  await until(() => two.messages.length === 100)
  assert.equal(one.transport.counters().framesSent, before + 1)
  assert.deepEqual(
    two.messages.map(({ peer, group }) => [peer, group]),
    Array.from({ length: 100 }, (_, group) => [1, group]),
  )
  assert.deepEqual(two.messages[3].message, message('timeoutNow', 2, { from: 1, term: 7 }))
  assert.ok(two.say(1, 8))
  await until(() => one.messages.length === 1)
  await closeAll(members)
})

test('many messages of a turn go in several frames, none of which is huge', async () => {
  const members = [await Member.start(1), await Member.start(2)]
  const [one, two] = members
  await connectAll(members)
  const before = one.transport.counters().framesSent
  for (let group = 0; group < 10_000; group++) assert.ok(one.say(2, 7, group))
  await until(() => two.messages.length === 10_000)
  assert.equal(one.transport.counters().framesSent, before + 3)
  await closeAll(members)
})

test('three members reach each other with messages and requests', async () => {
  const members = [await Member.start(1), await Member.start(2), await Member.start(3)]
  await connectAll(members)
  for (const from of members) {
    for (const to of members) {
      if (from === to) continue
      assert.ok(from.say(to.nodeId, from.nodeId))
      const text = `${from.nodeId} to ${to.nodeId}`
      assert.equal(await from.ask(to.nodeId, ECHO, text), text)
    }
  }
  await until(() => members.every(({ messages }) => messages.length === 2))
  await closeAll(members)
})

test('a message that is too large for the rest of a frame goes in the next one', async () => {
  const members = [await Member.start(1), await Member.start(2)]
  const [one, two] = members
  await connectAll(members)
  const payload = new Uint8Array(30_000_000).fill(3)
  const entries = [{ term: 1, index: 2, kind: 1, payload }]
  const append = message('append', 2, { from: 1, term: 1, index: 1, logTerm: 1, entries })
  const small = { ...append, entries: [{ ...entries[0], payload: payload.subarray(0, 1_000_000) }] }
  const tooLarge = { ...append, entries: [{ ...entries[0], payload: new Uint8Array(42_000_000) }] }
  one.transport.send(0, small)
  assert.throws(() => one.transport.send(1, tooLarge), { code: 'INVALID_REQUEST' })
  one.transport.send(2, append)
  await until(() => two.messages.length === 2)
  assert.deepEqual(
    two.messages.map(({ group, message: { entries } }) => [group, entries[0].payload.length]),
    [
      [0, 1_000_000],
      [2, 30_000_000],
    ],
  )
  assert.ok(two.messages[1].message.entries[0].payload.every(byte => byte === 3))
  await closeAll(members)
})

test('an answer may be an error, and comes with its code, message and details', async () => {
  const members = [await Member.start(1), await Member.start(2)]
  const [one, two] = members
  await connectAll(members)
  const asked = one.ask(2, HELD, 'question', 5000)
  await until(() => two.held.length === 1)
  const { peer, kind, timeoutMs, payload, respond } = two.held[0]
  assert.deepEqual([peer, kind, timeoutMs], [1, HELD, 5000])
  assert.equal(new TextDecoder().decode(payload), 'question')
  respond(new MetastoreError('CONFLICT', 'not so', { details: { leader: 3 } }))
  respond(new Uint8Array(0))
  await assert.rejects(asked, { code: 'CONFLICT', message: 'not so', details: { leader: 3 } })
  await closeAll(members)
})

test('a request without a connection is UNAVAILABLE, to oneself INVALID_REQUEST', async () => {
  const one = await Member.start(1)
  await assert.rejects(one.ask(2, ECHO), { code: 'UNAVAILABLE', message: /was not sent/ })
  await assert.rejects(one.ask(1, ECHO), { code: 'INVALID_REQUEST' })
  assert.equal(one.say(2, 1), false)
  assert.equal(one.transport.counters().messagesDropped, 1)
  assert.equal(one.transport.isReachable(2), false)
  await one.transport.close()
  await assert.rejects(one.ask(2, ECHO), { code: 'CLOSED' })
})

test('a deadline that passes is INDETERMINATE once the request was sent', async () => {
  const members = [await Member.start(1), await Member.start(2)]
  const [one, two] = members
  await connectAll(members)
  await assert.rejects(one.ask(2, HELD, '', 30), {
    code: 'INDETERMINATE',
    message: /was sent and was not answered within 30 ms/,
  })
  await until(() => two.held.length === 1)
  // Nobody waits for it any more.
  two.held[0].respond(new Uint8Array(1))
  assert.equal(await one.ask(2, ECHO, 'next'), 'next')
  await closeAll(members)
})

test('a deadline that passes before the turn ends is UNAVAILABLE, and nothing is sent', async () => {
  const clock = new ManualClock()
  const one = await Member.start(1, { clock })
  const two = await Member.start(2)
  await connectAll([one, two])
  const asked = one.ask(2, HELD, '', 30)
  clock.advance(50)
  await assert.rejects(asked, { code: 'UNAVAILABLE', message: /was not sent/ })
  assert.equal(await one.ask(2, ECHO, 'next'), 'next')
  assert.equal(two.held.length, 0)
  await closeAll([one, two])
})

test('a connection that ends makes requests INDETERMINATE that were sent', async () => {
  const one = await Member.start(1, { limits: QUICK })
  const two = await Member.start(2)
  await connectAll([one, two])
  const asked = one.ask(2, HELD)
  await until(() => two.held.length === 1)
  await Promise.all([
    two.transport.close(),
    assert.rejects(asked, { code: 'INDETERMINATE', message: /before the connection ended/ }),
  ])
  two.held[0].respond(new Uint8Array(1))
  await until(() => one.links.length === 2)
  assert.deepEqual(one.links, [
    [2, true],
    [2, false],
  ])
  await one.transport.close()
})

test('a connection that ends before the turn does makes requests UNAVAILABLE', async () => {
  const clock = new ManualClock()
  const limits = { pingIntervalMs: 100, silentPingsMax: 1 }
  const one = await Member.start(1, { clock, limits })
  const two = await Member.start(2)
  await connectAll([one, two])
  const asked = one.ask(2, HELD)
  clock.advance(300)
  // Both connections of the two.
  assert.equal(one.count('silent'), 2)
  await assert.rejects(asked, { code: 'UNAVAILABLE', message: /was not sent/ })
  assert.equal(two.held.length, 0)
  await closeAll([one, two])
})

test('too many requests, or bytes of them, are OVERLOADED at the one who asks', async () => {
  const limits = { requestsMax: 3, requestBytesMax: 1000 }
  const one = await Member.start(1, { limits })
  const two = await Member.start(2)
  await connectAll([one, two])
  const large = 'x'.repeat(2000)
  assert.equal(await one.ask(2, ECHO, large), large, 'one always fits')
  const first = one.ask(2, HELD, 'x'.repeat(600))
  await assert.rejects(one.ask(2, HELD, 'x'.repeat(600)), {
    code: 'OVERLOADED',
    message: /600 bytes/,
    details: { retryAfterMs: 50 },
  })
  const others = [one.ask(2, HELD), one.ask(2, HELD)]
  await assert.rejects(one.ask(2, HELD), { code: 'OVERLOADED', message: /3 requests/ })
  await until(() => two.held.length === 3)
  for (const { respond } of two.held) respond(new Uint8Array(0))
  await Promise.all([first, ...others])
  assert.equal(await one.ask(2, ECHO, 'next'), 'next')
  await closeAll([one, two])
})

test('too many requests are OVERLOADED at the one who is asked', async () => {
  const one = await Member.start(1)
  const two = await Member.start(2, { limits: { requestsMax: 2 } })
  await connectAll([one, two])
  // The asker has given up, the asked one does not know.
  const given = [one.ask(2, HELD, '', 10), one.ask(2, HELD, '', 10)]
  for (const asked of given) await assert.rejects(asked, { code: 'INDETERMINATE' })
  await until(() => two.held.length === 2)
  await assert.rejects(one.ask(2, ECHO), { code: 'OVERLOADED', details: { retryAfterMs: 50 } })
  two.held[0].respond(new Uint8Array(0))
  // Twice does not make more room.
  two.held[0].respond(new Uint8Array(0))
  assert.equal(await one.ask(2, ECHO, 'room'), 'room')
  const third = one.ask(2, HELD)
  await until(() => two.held.length === 3)
  await assert.rejects(one.ask(2, ECHO), { code: 'OVERLOADED' })
  two.held[2].respond(new Uint8Array(0))
  await third
  await closeAll([one, two])
})

test('too many bytes of requests are OVERLOADED at the one who is asked', async () => {
  const one = await Member.start(1)
  const two = await Member.start(2, { limits: { requestBytesMax: 1000 } })
  await connectAll([one, two])
  const text = 'x'.repeat(600)
  const first = one.ask(2, HELD, 'small')
  for (let i = 0; i < 3; i++) assert.equal(await one.ask(2, ECHO, text), text)
  const second = one.ask(2, HELD, text)
  await until(() => two.held.length === 2)
  await assert.rejects(one.ask(2, ECHO, text), { code: 'OVERLOADED' })
  for (const { respond } of two.held) respond(new Uint8Array(0))
  await Promise.all([first, second])
  await closeAll([one, two])
})

test('a link is made again when the peer is back at its address', async () => {
  const one = await Member.start(1, { limits: QUICK })
  const two = await Member.start(2)
  await connectAll([one, two])
  const { address } = two
  await two.transport.close()
  await until(() => one.count('unreachable') > 2)
  assert.equal(one.transport.isReachable(2), false)
  const again = await Member.start(2, { listen: address })
  await until(() => one.transport.isReachable(2))
  assert.ok(one.say(2, 5))
  await until(() => again.messages.length === 1)
  assert.ok(one.warnings.filter(({ incident }) => incident === 'unreachable').length === 1)
  await closeAll([one, again])
})

test('a peer that connects is connected to at once, whatever the wait was', async () => {
  const patient = { reconnectMsMin: 1_000_000, reconnectMsMax: 1_000_000 }
  const one = await Member.start(1, { limits: patient })
  const two = await Member.start(2)
  const { address } = two
  await two.transport.close()
  one.transport.setPeers(new Map([[2, address]]))
  await until(() => one.count('unreachable') === 1)
  const again = await Member.start(2, { listen: address })
  again.transport.setPeers(new Map([[1, one.address]]))
  await until(() => one.links.length === 1)
  assert.deepEqual(one.links, [[2, true]])
  await closeAll([one, again])
})

test('a member that takes nothing has messages dropped, which are counted; others do not', async () => {
  const backlogBytesMax = 1_000_000
  const one = await Member.start(1, { limits: { ...QUICK, backlogBytesMax } })
  const three = await Member.start(3)
  const members: RawMember[] = []
  const { server, address } = await listenRaw(2, member => members.push(member))
  one.transport.setPeers(
    new Map([
      [2, address],
      [3, three.address],
    ]),
  )
  await until(() => one.links.length === 2 && members.length === 1)
  const payload = new Uint8Array(50_000)
  const entries = [{ term: 1, index: 2, kind: 1, payload }]
  const append = message('append', 2, { from: 1, term: 1, index: 1, logTerm: 1, entries })
  let sent = 0
  // As long as the system's buffers take something, there is no backlog to speak of.
  for (; sent < 2000 && one.transport.send(sent, append); sent++) {
    if (sent % 10 === 9) await new Promise(setImmediate)
  }
  assert.ok(sent < 2000, 'nothing was dropped')
  assert.equal(one.transport.send(sent, append), false)
  assert.equal(one.transport.counters().messagesDropped, 2)
  await assert.rejects(one.ask(2, HELD), { code: 'OVERLOADED', message: /bytes are not taken/ })
  assert.ok(one.say(3, 1))
  assert.equal(await one.ask(3, ECHO, 'others'), 'others')
  const frames = framesOf(members[0])
  const groups = (): number[] =>
    frames
      .filter(({ type }) => type === FRAME_RAFT)
      .flatMap(({ content }) => decodeRaftBatch(content, 1, 2).map(({ group }) => group))
  await until(() => groups().length === sent)
  assert.deepEqual(
    groups(),
    Array.from({ length: sent }, (_, group) => group),
  )
  await until(() => one.transport.send(9999, append))
  await until(() => groups().includes(9999))
  members[0].socket.destroy()
  server.close()
  await closeAll([one, three])
})

test('a member that takes no answers is cut off before they fill the memory', async () => {
  const limits = { backlogBytesMax: 500_000, pingIntervalMs: 20, silentPingsMax: 1_000_000 }
  const one = await Member.start(1, { limits })
  const raw = await connectRaw(2, one)
  const ids = Array.from({ length: 200 }, (_, id) => id)
  raw.socket.write(Buffer.concat(ids.map(id => requestFrame(id))))
  await until(() => one.held.length > 100)
  const answer = new Uint8Array(100_000)
  for (const { respond } of one.held) respond(answer)
  await until(() => one.count('backlog') === 1)
  raw.socket.resume()
  await until(() => raw.socket.closed)
  await one.transport.close()
})

function requestFrame(id: number): Uint8Array {
  return encodeRequest({ id, kind: HELD, timeoutMs: 60_000, payload: new Uint8Array(1) })
}

test('a peer that says nothing any more is given up, one that answers pings is not', async () => {
  const limits = { ...QUICK, pingIntervalMs: 20, silentPingsMax: 3 }
  const one = await Member.start(1, { limits })
  const three = await Member.start(3)
  const pings: number[] = []
  const { server, address } = await listenRaw(2, member => {
    const frames = framesOf(member)
    member.socket.once('data', () => member.socket.write(emptyFrame(FRAME_PONG)))
    member.socket.on('close', () => {
      pings.push(frames.filter(({ type }) => type === FRAME_PING).length)
    })
  })
  one.transport.setPeers(
    new Map([
      [2, address],
      [3, three.address],
    ]),
  )
  await until(() => one.count('silent') >= 2 && pings.length >= 2)
  // Of an interval in which something came there is none.
  assert.deepEqual(pings.slice(0, 2), [4, 4])
  assert.deepEqual(
    one.links.filter(([peer]) => peer === 3),
    [[3, true]],
  )
  assert.equal(three.count('lost'), 0)
  await one.transport.close()
  server.close()
  await three.transport.close()
})

test('pings are answered', async () => {
  const one = await Member.start(1)
  const raw = await connectRaw(2, one)
  const frames = framesOf(raw)
  raw.socket.write(emptyFrame(FRAME_PING))
  await until(() => frames.some(({ type }) => type === FRAME_PONG))
  raw.socket.destroy()
  await one.transport.close()
})

test('a member that sends a broken frame is told so, closed and counted, and may come again', async () => {
  const one = await Member.start(1)
  const ping = emptyFrame(FRAME_PING)
  const damaged = Uint8Array.from(ping)
  damaged[4] ^= 1
  const hugeLength = Uint8Array.of(0, 0, 0, 255, 0, 0, 0, 0)
  const unknownType = emptyFrame(99)
  const lateWelcome = emptyFrame(FRAME_WELCOME)
  const emptyRequest = emptyFrame(FRAME_REQUEST)
  const fullPing = finishFrame(startFrame(FRAME_PING).u8(0))
  const broken = [damaged, hugeLength, unknownType, lateWelcome, emptyRequest, fullPing]
  for (const [position, bytes] of broken.entries()) {
    const raw = await connectRaw(2, one)
    const frames = framesOf(raw)
    raw.socket.write(bytes)
    await until(() => raw.socket.closed)
    assert.equal(one.count('brokenFrame'), position + 1)
    assert.deepEqual(
      frames.map(({ type, content }) => [type, decodeClose(content)]),
      [[FRAME_CLOSE, 'malformed']],
    )
  }
  const members = [one, await Member.start(2)]
  await connectAll(members)
  assert.equal(await one.ask(2, ECHO, 'still'), 'still')
  await closeAll(members)
})

test('an answer in bad form from a peer fails what waits, and the link is made again', async () => {
  const one = await Member.start(1, { limits: QUICK })
  const { server, address } = await listenRaw(2, member => {
    member.socket.on('data', () => member.socket.write(emptyFrame(99)))
    member.socket.resume()
  })
  one.transport.setPeers(new Map([[2, address]]))
  await until(() => one.transport.isReachable(2))
  await assert.rejects(one.ask(2, ECHO), { code: 'INDETERMINATE' })
  assert.equal(one.count('brokenFrame'), 1)
  await until(() => one.transport.counters().connectionsMade >= 2)
  await one.transport.close()
  server.close()
})

test('frames right behind the handshake are not lost', async () => {
  const one = await Member.start(1)
  const raw = await connectRaw(2, one, requestFrame(5))
  await until(() => one.held.length === 1)
  const frames = framesOf(raw)
  one.held[0].respond(new Uint8Array(1))
  await until(() => frames.length === 1)
  raw.socket.destroy()
  await one.transport.close()
})

test('a peer that closes as soon as it is connected is tried less and less often', async () => {
  const clock = new ManualClock()
  const limits = { reconnectMsMin: 100, reconnectMsMax: 4000, pingIntervalMs: 1000 }
  const one = await Member.start(1, { clock, limits, random: () => 0 })
  let isPatient = false
  const { server, address } = await listenRaw(2, ({ socket }) => {
    if (!isPatient) socket.destroy()
  })
  one.transport.setPeers(new Map([[2, address]]))
  const waits: number[] = []
  for (let i = 1; i <= 5; i++) {
    await until(() => one.links.length === 2 * i)
    isPatient = i === 5
    waits.push(clock.delaysMs[clock.delaysMs.length - 1])
    clock.advance(waits[i - 1])
  }
  assert.deepEqual(waits, [50, 100, 200, 400, 800])
  // The last one holds, until it is found silent: longer than the longest wait.
  await until(() => one.links.length === 11)
  clock.advance(6000)
  assert.equal(one.count('silent'), 1)
  // Others are of pings and handshakes.
  assert.equal(clock.delaysMs.filter(delayMs => delayMs < 1000).at(-1), 50)
  await one.transport.close()
  server.close()
})

test('a member that connects again takes the place of its old connection', async () => {
  const one = await Member.start(1)
  const first = await connectRaw(2, one)
  const frames = framesOf(first)
  const second = await connectRaw(2, one)
  const others = framesOf(second)
  await until(() => first.socket.closed)
  assert.deepEqual(
    frames.map(({ content }) => decodeClose(content)),
    ['replaced'],
  )
  assert.equal(one.count('replaced'), 1)
  assert.ok(one.say(2, 1))
  await until(() => others.length === 1)
  second.socket.destroy()
  await one.transport.close()
})

test('a member whose address is not known is answered over the connection that it made', async () => {
  const one = await Member.start(1)
  const four = await Member.start(4)
  four.transport.setPeers(new Map([[1, one.address]]))
  await until(() => one.transport.isReachable(4))
  assert.ok(one.say(4, 3))
  await until(() => four.messages.length === 1)
  assert.equal(await one.ask(4, ECHO, 'back'), 'back')
  assert.equal(await four.ask(1, ECHO, 'forth'), 'forth')
  assert.deepEqual(one.links, [])
  await closeAll([one, four])
})

test('more members than there may be are refused', async () => {
  const one = await Member.start(1, { limits: { membersMax: 1 } })
  const first = await connectRaw(2, one)
  const second = await connectRaw(3, one)
  second.socket.resume()
  await until(() => second.socket.closed)
  assert.equal(one.count('crowded'), 1)
  assert.ok(one.transport.isReachable(2))
  first.socket.destroy()
  await one.transport.close()
})

test('peers change while it runs: new, moved and gone', async () => {
  const one = await Member.start(1, { limits: QUICK })
  const two = await Member.start(2)
  const moved = await Member.start(2)
  const three = await Member.start(3)
  const links = (): unknown[] => one.links.splice(0)
  one.transport.setPeers(new Map([[2, two.address]]))
  await until(() => one.links.length === 1)
  assert.deepEqual(links(), [[2, true]])
  one.transport.setPeers(
    new Map([
      [1, one.address],
      [2, two.address],
      [3, three.address],
    ]),
  )
  await until(() => one.links.length === 1)
  assert.deepEqual(links(), [[3, true]])
  const asked = one.ask(2, HELD)
  await until(() => two.held.length === 1)
  one.transport.setPeers(new Map([[2, moved.address]]))
  await assert.rejects(asked, { code: 'INDETERMINATE' })
  await until(() => one.links.length === 3)
  assert.deepEqual(links(), [
    [2, false],
    [3, false],
    [2, true],
  ])
  one.say(2, 9)
  await until(() => moved.messages.length === 1)
  assert.equal(one.transport.isReachable(3), false)
  assert.throws(() => one.transport.setPeers(new Map([[0, one.address]])), {
    code: 'INVALID_REQUEST',
  })
  // An orderly end is no incident.
  assert.equal(two.count('lost') + three.count('lost'), 0)
  await closeAll([one, two, moved, three])
})

test('an address that is taken is UNAVAILABLE, options that are wrong INVALID_REQUEST', async () => {
  const one = await Member.start(1)
  await assert.rejects(Member.start(2, { listen: one.address }), {
    code: 'UNAVAILABLE',
    message: /cannot listen at 127.0.0.1/,
  })
  for (const wrong of [{ nodeId: 0 }, { nodeId: 2 ** 31 }, { clusterId: 'x' }]) {
    const given = { clusterId: '00112233-4455-4677-8899-aabbccddeeff', nodeId: 1, ...wrong }
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const handlers = { onMessages() {}, onRequest() {}, onLink() {} }
    await assert.rejects(
      Transport.listen({ ...given, listen: { host: HOST, port: 0 }, logger }, handlers),
      { code: 'INVALID_REQUEST' },
    )
  }
  await one.transport.close()
})
