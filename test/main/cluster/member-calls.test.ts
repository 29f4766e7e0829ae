/**
 * Goal: a call finds the leader, whatever this node thinks of it, and leaves the event loop its turns
 * while it looks.
 * Method: Members over fakes; the leader is where the test says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { Members, type MembersOptions } from '../../../src/main/cluster/members.ts'

const NODE = 1
/** Nobody but who is in the group. */
const NO_BOOK = { list: { change: 0, members: [] } }

/** One domain; `world` says who leads it as far as this node knows, and whether that is this node. */
function membersOf(world: { leader: number; isReady: boolean }): Members {
  const node = {
    leader: () => world.leader,
    isMember: () => false,
    someMember: (_: number, besides: number) => (besides === 2 ? 3 : 2),
  }
  const replica = {
    get isLeading(): boolean {
      return world.isReady
    },
  }
  const options = {
    nodeId: NODE,
    node,
    replicas: [replica],
    domains: [],
    transport: {},
    book: NO_BOOK,
  }
  return new Members(options as unknown as MembersOptions)
}

function unavailable(leader?: number): MetastoreError {
  return new MetastoreError('UNAVAILABLE', 'not here', { details: { leader } })
}

function never(): Promise<never> {
  throw new Error('nobody should be asked there')
}

test('a call waits while this node is about to lead, and lets it', { timeout: 5000 }, async () => {
  const world = { leader: NODE, isReady: false }
  // Nothing but a turn of the event loop lets this node lead.
  setTimeout(() => {
    world.isReady = true
  }, 60)
  const ways = { here: () => Promise.resolve('here'), there: never }
  assert.equal(await membersOf(world).call(0, false, ways), 'here')
})

test('a call that is refused here for a while lets others work', { timeout: 5000 }, async () => {
  const world = { leader: NODE, isReady: true }
  let isPaused = true
  setTimeout(() => {
    isPaused = false
  }, 60)
  const here = (): Promise<string> =>
    isPaused ? Promise.reject(unavailable()) : Promise.resolve('here')
  assert.equal(await membersOf(world).call(0, false, { here, there: never }), 'here')
})

test('who is named as the leader is asked next', { timeout: 5000 }, async () => {
  const asked: number[] = []
  const there = (member: number): Promise<string> => {
    asked.push(member)
    return member === 3 ? Promise.resolve('three') : Promise.reject(unavailable(3))
  }
  const members = membersOf({ leader: 2, isReady: false })
  assert.equal(await members.call(0, false, { here: never, there }), 'three')
  assert.deepEqual(asked, [2, 3])
})

test('who has answered is asked first where no leader is known', { timeout: 5000 }, async () => {
  const asked: number[] = []
  const there = (member: number): Promise<string> => {
    asked.push(member)
    return member === 3 ? Promise.resolve('three') : Promise.reject(unavailable(3))
  }
  const members = membersOf({ leader: 0, isReady: false })
  await members.call(0, false, { here: never, there })
  asked.length = 0
  await members.call(0, false, { here: never, there })
  assert.deepEqual(asked, [3])
})

test('two that take each other for the leader are not asked without a pause', {
  timeout: 5000,
}, async () => {
  let asked = 0
  let isDecided = false
  setTimeout(() => {
    isDecided = true
  }, 100)
  const there = async (member: number): Promise<string> => {
    asked++
    await sleep(0)
    if (isDecided) return 'decided'
    throw unavailable(member === 2 ? 3 : 2)
  }
  const members = membersOf({ leader: 2, isReady: false })
  assert.equal(await members.call(0, false, { here: never, there }), 'decided')
  assert.ok(asked <= 40, `${asked} requests in a tenth of a second`)
})

test('what may have happened is repeated only if that is safe', { timeout: 5000 }, async () => {
  let failures = 1
  const there = (): Promise<string> => {
    if (failures-- > 0) {
      return Promise.reject(new MetastoreError('INDETERMINATE', 'the connection has ended'))
    }
    return Promise.resolve('done')
  }
  const members = membersOf({ leader: 2, isReady: false })
  assert.equal(await members.call(0, true, { here: never, there }), 'done')
  failures = 1
  await assert.rejects(members.call(0, false, { here: never, there }), { code: 'INDETERMINATE' })
})
