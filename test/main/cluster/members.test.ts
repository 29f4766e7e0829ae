/**
 * Goal: a call for a domain that is led elsewhere ends with an error that says whether it may have
 * been done. Method: Members over a transport that answers as each test wants; only what a call asks
 * of the node is made up.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, MetastoreError } from '../../../src/codec/errors.ts'
import { Members, type MembersOptions } from '../../../src/main/cluster/members.ts'
import { RoutedDomain } from '../../../src/main/cluster/routed-domain.ts'
import type { DomainHandle } from '../../../src/main/domain-handle.ts'
import type { IncomingRequest } from '../../../src/main/net/context.ts'

/** Soon over, and never in a test. */
const SHORT_MS = 100
const LONG_MS = 60_000
const DONE = new Uint8Array([7])

interface Asked {
  timeoutMs: number
}

/** A member of a cluster in which node 2 leads; the last of the answers comes again and again. */
function memberWith(
  callTimeoutMs: number,
  ...answers: (ErrorCode | 'done')[]
): { domain: RoutedDomain; asked: Asked[] } {
  const asked: Asked[] = []
  const request = async (...[, , , timeoutMs]: number[]): Promise<Uint8Array> => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]
    asked.push({ timeoutMs })
    if (answer !== 'done') throw new MetastoreError(answer, `attempt ${asked.length}`)
    return DONE
  }
  const members = new Members({
    nodeId: 1,
    transport: { request },
    node: { leader: () => 2, someMember: () => 2, isMember: () => false },
    replicas: [{ isLeading: false }],
    callTimeoutMs,
    book: { list: { change: 0, members: [] } },
  } as unknown as MembersOptions)
  return { domain: new RoutedDomain({ number: 0 } as DomainHandle, members), asked }
}

function write(domain: RoutedDomain, isRepeatable: boolean): Promise<number> {
  return domain.write(
    out => out.u8(1),
    reader => reader.u8(),
    isRepeatable,
  )
}

test('a write that was not done is tried again, with what is left of its time', async () => {
  const { domain, asked } = memberWith(LONG_MS, 'UNAVAILABLE', 'UNAVAILABLE', 'done')
  assert.equal(await write(domain, false), 7)
  const times = asked.map(({ timeoutMs }) => timeoutMs)
  assert.equal(times.length, 3)
  assert.ok(times.every((timeMs, i) => timeMs > 0 && timeMs <= (times[i - 1] ?? LONG_MS)))
})

test('past its deadline a write is UNAVAILABLE, and nobody is asked without time', async () => {
  const { domain, asked } = memberWith(SHORT_MS, 'UNAVAILABLE')
  await assert.rejects(write(domain, false), { code: 'UNAVAILABLE' })
  assert.ok(asked.length > 0)
  assert.ok(asked.every(({ timeoutMs }) => timeoutMs > 0))
})

test('a hint is followed, and one that leads nowhere leaves time for everything else', async () => {
  const asked: number[] = []
  const members = new Members({
    nodeId: 1,
    transport: {
      request: async (member: number) => {
        asked.push(member)
        const details = { leader: member === 2 ? 3 : 2 }
        throw new MetastoreError('UNAVAILABLE', 'led elsewhere', { details })
      },
    },
    // Once it has asked around, this node has won an election and is not ready for writes yet.
    node: { leader: () => (asked.length < 2 ? 2 : 1), someMember: () => 2, isMember: () => false },
    replicas: [{ isLeading: false }],
    callTimeoutMs: SHORT_MS,
    book: { list: { change: 0, members: [] } },
  } as unknown as MembersOptions)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const domain = new RoutedDomain({ number: 0 } as DomainHandle, members)
  await assert.rejects(write(domain, false), { code: 'UNAVAILABLE' })
  clearInterval(timer)
  assert.deepEqual(asked, [2, 3])
  assert.ok(turns > 1)
})

test('a write that may have been done is not tried again without a request id', async () => {
  const { domain, asked } = memberWith(LONG_MS, 'INDETERMINATE', 'done')
  await assert.rejects(write(domain, false), { code: 'INDETERMINATE' })
  assert.equal(asked.length, 1)
})

test('with one it is; if that fails, it still may have been done the first time', async () => {
  assert.equal(await write(memberWith(LONG_MS, 'INDETERMINATE', 'done').domain, true), 7)
  const { domain } = memberWith(SHORT_MS, 'INDETERMINATE', 'UNAVAILABLE')
  await assert.rejects(write(domain, true), { code: 'INDETERMINATE', message: 'attempt 1' })
})

test('a write that waits while this node is closed may have been done', async () => {
  await assert.rejects(write(memberWith(LONG_MS, 'CLOSED').domain, false), {
    code: 'INDETERMINATE',
  })
})

test('a read is never in doubt', async () => {
  const { domain } = memberWith(SHORT_MS, 'INDETERMINATE')
  const tp = new Uint8Array(20)
  const args = { tp, kind: new Uint8Array([1]), key: new Uint8Array([1]) }
  const read = domain.read('getRecord', args, undefined, 'leader')
  await assert.rejects(read, { code: 'UNAVAILABLE' })
})

test('that a leader is closing is no reason for callers elsewhere to think they are', async () => {
  const closed = new MetastoreError('CLOSED', 'the metastore is closed')
  const members = new Members({
    nodeId: 2,
    domains: [{ write: () => Promise.reject(closed) }],
    replicas: [{ isLeading: true }],
  } as unknown as MembersOptions)
  const answer = await new Promise<unknown>(resolve => {
    const request = { peer: 1, kind: 1, payload: new Uint8Array([0, 1]), respond: resolve }
    members.answer(request as unknown as IncomingRequest)
  })
  assert.ok(answer instanceof MetastoreError)
  assert.equal(answer.code, 'UNAVAILABLE')
})

test('a member says whether it could lead at once, led or not; one that is silent could not', async () => {
  const replicas = [
    { isLeading: false, isBehind: true },
    { isLeading: false, isBehind: false },
  ]
  const asked = new Members({
    nodeId: 2,
    domains: [{}, {}],
    replicas,
  } as unknown as MembersOptions)
  const request = (member: number, kind: number, payload: Uint8Array): Promise<Uint8Array> => {
    if (member !== 2) return Promise.reject(new MetastoreError('UNAVAILABLE', 'not connected'))
    return new Promise((resolve, reject) => {
      const respond = (answer: Uint8Array | Error): void => {
        if (answer instanceof Error) reject(answer)
        else resolve(answer)
      }
      asked.answer({ peer: 1, kind, payload, respond } as unknown as IncomingRequest)
    })
  }
  const asking = new Members({ nodeId: 1, transport: { request } } as unknown as MembersOptions)
  assert.equal(await asking.isReady(2, 0), false)
  assert.equal(await asking.isReady(2, 1), true)
  assert.equal(await asking.isReady(3, 1), false)
})
