/**
 * Goal: what the simulator says can be relied on: a seed decides everything, and what breaks is seen.
 * Method: seeds that are run twice; disks that say that they have synced and have not.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { SimulationFailure } from './failure.ts'
import { simulate } from './simulation.ts'

test('a seed decides everything', () => {
  for (const seed of [1, 2, 3, 4, 5]) assert.deepEqual(simulate(seed), simulate(seed))
  assert.notDeepEqual(simulate(1), simulate(2))
})

test('a failure has the seed and a transcript, and comes again: disks that lie about syncs', () => {
  const failureOf = (seed: number): SimulationFailure | undefined => {
    try {
      simulate(seed, { disksLie: true })
      return undefined
    } catch (error) {
      assert.ok(error instanceof SimulationFailure)
      return error
    }
  }
  const failures = [1, 2, 3, 4, 5].map(failureOf)
  for (const failure of failures) {
    assert.ok(failure !== undefined, 'it is seen to break')
    assert.match(failure.message, new RegExp(`^seed ${failure.seed}: .* (disk|committed)`))
    assert.match(failure.transcript[0], /"disksLie":true/)
    assert.equal(failureOf(failure.seed)?.message, failure.message)
  }
})
