/**
 * Goal: leadership goes to the voter that should have it when that one could take it, and a group
 * whose voter could not holds up no other one.
 * Method: a balance over made-up groups; the test makes the looks.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  LeaderBalance,
  type LeaderBalanceOptions,
} from '../../../src/main/cluster/leader-balance.ts'
import { EMPTY_CONF_STATE } from '../../../src/main/raft/configuration.ts'

const COMMIT = 10

/** Node 1 of three leads all six groups; groups 1 and 4 should be node 2's, 2 and 5 node 3's. */
function balanceOf(
  ready: readonly number[],
  match: (member: number) => number = () => COMMIT,
): { balance: LeaderBalance; moved: [number, number][] } {
  const moved: [number, number][] = []
  const configuration = { ...EMPTY_CONF_STATE, voters: [1, 2, 3] }
  const progress = {
    get: (member: number) => ({ isActive: true, match: match(member) }),
  }
  const balance = new LeaderBalance({
    nodeId: 1,
    node: { status: () => ({ configuration, progress, commit: COMMIT }) },
    transport: { isReachable: () => true },
    groups: 6,
    isLeading: (group: number) => !moved.some(([done]) => done === group),
    isReady: async (_: number, member: number) => ready.includes(member),
    handOver: async (group: number, target: number) => {
      moved.push([group, target])
    },
    intervalMs: 1000,
  } as unknown as LeaderBalanceOptions)
  return { balance, moved }
}

test('a look hands over one group, to the voter that should lead it', async () => {
  const { balance, moved } = balanceOf([2, 3])
  for (let look = 0; look < 6; look++) await balance.look()
  assert.deepEqual(moved, [
    [1, 2],
    [2, 3],
    [4, 2],
    [5, 3],
  ])
})

test('one that has still to replay gets nothing, and others get what is theirs', async () => {
  const { balance, moved } = balanceOf([3])
  for (let look = 0; look < 6; look++) await balance.look()
  assert.deepEqual(moved, [
    [2, 3],
    [5, 3],
  ])
})

test('nor does one that lacks entries', async () => {
  const { balance, moved } = balanceOf([2, 3], member => (member === 2 ? COMMIT - 1 : COMMIT))
  await balance.look()
  assert.deepEqual(moved, [[2, 3]])
})
