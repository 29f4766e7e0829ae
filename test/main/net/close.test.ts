/**
 * Goal: a transport that was closed leaves nothing behind, and keeps no process alive.
 * Method: the handles of this process, before and after; a process of its own that must end.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { afterEach } from 'node:test'
import type { MetastoreError } from '../../../src/codec/errors.ts'
import { ManualClock } from './manual-clock.ts'
import {
  cleanUp,
  closeAll,
  connectAll,
  connectRaw,
  HELD,
  HOST,
  Member,
  Stranger,
  until,
} from './members.ts'

afterEach(cleanUp)

test('close rejects what waits, and leaves no socket, server or timer', async () => {
  const before = handles()
  const members = [await Member.start(1), await Member.start(2), await Member.start(3)]
  const [one, two] = members
  await connectAll(members)
  const waiting = [one.ask(2, HELD), one.ask(3, HELD), two.ask(1, HELD)]
  await until(() => members.every(({ held }) => held.length === 1))
  assert.notDeepEqual(handles(), before)
  const rejections = waiting.map(asked => assert.rejects(asked, isClosedOrLost))
  await closeAll(members)
  await Promise.all([...rejections, one.transport.close()])
  await until(() => handles().join() === before.join(), 'the end of all handles')
  await assert.rejects(waiting[0], { code: 'CLOSED' })
  one.transport.setPeers(new Map([[2, two.address]]))
  assert.equal(one.say(2, 1), false)
  assert.deepEqual(handles(), before)
})

function isClosedOrLost(error: MetastoreError): boolean {
  return error.code === 'CLOSED' || error.code === 'INDETERMINATE'
}

function handles(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter(name => /TCP|TLS|Timeout/.test(name))
    .sort()
}

test('close ends attempts and waits of links to peers that are not there', async () => {
  const before = handles()
  const one = await Member.start(1)
  let connected = 0
  // It takes connections and never says a word.
  const server = createServer(socket => {
    connected++
    socket.resume()
  })
  await new Promise<void>(resolve => server.listen(0, HOST, () => resolve()))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const gone = await Member.start(3)
  const { port } = gone.transport
  await gone.transport.close()
  one.transport.setPeers(
    new Map([
      [2, { host: HOST, port: address.port }],
      [3, { host: HOST, port }],
    ]),
  )
  await until(() => connected === 1 && one.count('unreachable') > 0)
  await one.transport.close()
  await new Promise(resolve => server.close(resolve))
  await until(() => handles().join() === before.join(), 'the end of all handles')
})

test('timers go with what they are for, and all of them with the transport', async () => {
  const clock = new ManualClock()
  const members = [await Member.start(1, { clock }), await Member.start(2, { clock })]
  const [one, two] = members
  await connectAll(members)
  const stranger = new Stranger(one.transport.port)
  stranger.socket.end()
  await until(() => one.count('closedEarly') === 1)
  // The next ping of each.
  assert.equal(clock.timerCount, 2)
  const asked = [one.ask(2, HELD), two.ask(1, HELD)]
  assert.equal(clock.timerCount, 4)
  await until(() => members.every(({ held }) => held.length === 1))
  for (const { held } of members) held[0].respond(new Uint8Array(0))
  await Promise.all(asked)
  assert.equal(clock.timerCount, 2)
  await closeAll(members)
  assert.equal(clock.timerCount, 0)
})

test('a member that does not take the last words does not hold up the end', async () => {
  const one = await Member.start(1, { limits: { backlogBytesMax: 4_000_000 } })
  const raw = await connectRaw(2, one)
  const request = one.transport.request(2, HELD, new Uint8Array(20_000_000), 60_000)
  const rejected = assert.rejects(request, { code: 'CLOSED' })
  await new Promise(setImmediate)
  await one.transport.close()
  await rejected
  raw.socket.destroy()
})

test('a process that has closed its transports ends by itself', async () => {
  const script = join(import.meta.dirname, 'closing-process.js')
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit'] })
  const killer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code, signal] = await once(child, 'exit')
  clearTimeout(killer)
  assert.deepEqual([code, signal], [0, null])
})
