/**
 * Goal: with certificates, members know each other by their authority, and nobody else gets as far
 * as the handshake of the cluster; the secret is still asked for.
 * Method: transports and plain clients with certificates of the right and of another authority
 * (certificates/make.sh), with none, and without TLS.
 */
import assert from 'node:assert/strict'
import test, { afterEach } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { message } from '../../../src/main/raft/message.ts'
import {
  cleanUp,
  closeAll,
  connectAll,
  ECHO,
  HOST,
  Member,
  Stranger,
  tlsOf,
  until,
} from './members.ts'

afterEach(cleanUp)

const TLS = tlsOf('member')
const QUICK = { reconnectMsMin: 5, reconnectMsMax: 20 }

test('members with certificates talk, with and without a secret', async () => {
  for (const secret of ['a secret of the tests', undefined]) {
    const options = { tls: TLS, secret }
    const members = [await Member.start(1, options), await Member.start(2, options)]
    const [one, two] = members
    await connectAll(members)
    assert.equal(await one.ask(2, ECHO, 'x'), 'x')
    const payload = new Uint8Array(3_000_000).fill(5)
    const entries = [{ term: 1, index: 2, kind: 1, payload }]
    const append = message('append', 1, { from: 2, term: 1, index: 1, logTerm: 1, entries })
    assert.ok(two.transport.send(4, append))
    await until(() => one.messages.length === 1)
    assert.deepEqual([...one.messages[0].message.entries[0].payload.subarray(0, 3)], [5, 5, 5])
    await closeAll(members)
  }
})

test('the right certificate and a wrong secret are refused', async () => {
  const one = await Member.start(1, { tls: TLS })
  const two = await Member.start(2, { tls: TLS, secret: 'wrong', limits: QUICK })
  two.transport.setPeers(new Map([[1, one.address]]))
  await until(() => one.count('secret') >= 2 && two.count('turnedAway') >= 2)
  assert.equal(two.transport.isReachable(1), false)
  await closeAll([one, two])
})

test('a member of another authority is refused, on either side', async () => {
  const one = await Member.start(1, { tls: TLS, limits: QUICK })
  const two = await Member.start(2, { tls: tlsOf('other-member'), limits: QUICK })
  const peers = new Map([
    [1, one.address],
    [2, two.address],
  ])
  two.transport.setPeers(peers)
  await until(() => one.count('tls') >= 1)
  assert.equal(two.transport.isReachable(1), false)
  two.transport.setPeers(new Map())
  one.transport.setPeers(peers)
  await until(() => one.count('unreachable') >= 1)
  assert.equal(one.transport.isReachable(2), false)
  await closeAll([one, two])
})

test('no certificate, an old TLS, no TLS at all: refused and counted as tls', async () => {
  const one = await Member.start(1, { tls: TLS })
  const { port } = one.transport
  const { ca } = TLS
  const clients: ConnectionOptions[] = [
    { ca },
    { ca, maxVersion: 'TLSv1.2' },
    { ...TLS, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
  ]
  for (const [position, options] of clients.entries()) {
    let received = 0
    const checkServerIdentity = (): undefined => undefined
    const socket = connectTls({ host: HOST, port, checkServerIdentity, ...options })
    socket.on('error', () => {})
    socket.on('data', ({ length }) => {
      received += length
    })
    await until(() => socket.closed)
    await until(() => one.count('tls') === position + 1)
    assert.equal(received, 0)
  }
  const plain = new Stranger(port)
  plain.socket.write('GET / HTTP/1.1\r\n\r\n')
  await plain.closed()
  await until(() => one.count('tls') === clients.length + 1)
  const early = new Stranger(port)
  early.socket.end()
  await early.closed()
  await until(() => one.count('tls') === clients.length + 2)
  await one.transport.close()
})

test('who does not finish TLS, or says nothing inside of it, is over after the timeout', async () => {
  const one = await Member.start(1, { tls: TLS, limits: { handshakeTimeoutMs: 200 } })
  const { port } = one.transport
  const outside = new Stranger(port)
  const inside = connectTls({ host: HOST, port, ...TLS, checkServerIdentity: () => undefined })
  inside.on('error', () => {})
  inside.resume()
  await until(() => outside.isClosed && inside.closed)
  assert.equal(one.count('handshakeTimeout'), 2)
  await one.transport.close()
})

test('a member without TLS is refused by one with, and finds nobody who answers', async () => {
  const one = await Member.start(1, { tls: TLS, limits: QUICK })
  const two = await Member.start(2, { limits: QUICK })
  const peers = new Map([
    [1, one.address],
    [2, two.address],
  ])
  one.transport.setPeers(peers)
  two.transport.setPeers(peers)
  await until(() => one.count('tls') > 0 && one.count('unreachable') > 0)
  await until(() => two.count('turnedAway') + two.count('malformed') > 0)
  assert.ok(!one.transport.isReachable(2) && !two.transport.isReachable(1))
  await closeAll([one, two])
})

test('certificates that cannot be read are INVALID_REQUEST', async () => {
  await assert.rejects(Member.start(1, { tls: { ...TLS, key: 'no key' } }), {
    code: 'INVALID_REQUEST',
    message: /^tls: /,
  })
})
