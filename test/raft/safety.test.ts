/**
 * Goal: nothing that Raft promises breaks, whatever happens to messages, disks, clocks and members,
 * and afterwards the group works again.
 * Method: clusters in virtual time, each from a seed (virtual-cluster.ts checks at every step); a
 * failure names its seed.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { VirtualCluster } from './virtual-cluster.ts'

const SEEDS = Number(process.env.WAYMARK_RAFT_SEEDS ?? 200)
const STEPS = 4000

for (const size of [1, 3, 5]) {
  test(`a cluster of ${size}: safe at every step, and agreed when the network heals`, () => {
    let reads = 0
    let leaseReads = 0
    let elections = 0
    let entries = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const cluster = new VirtualCluster(seed * 10 + size, size)
      try {
        for (let step = 0; step < STEPS; step++) cluster.step()
        assert.ok(cluster.heal(), 'the members do not come to agree')
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
      reads += cluster.readsAnswered
      leaseReads += cluster.leaseReads
      elections += cluster.elections
      entries += cluster.appliedCount
    }
    // What never happens is not tested.
    assert.ok(reads > SEEDS, `only ${reads} reads were answered`)
    assert.ok(leaseReads > 0 || size === 1, 'no read went by lease')
    assert.ok(
      elections > SEEDS && entries > 10 * SEEDS,
      `${elections} elections, ${entries} entries`,
    )
  })
}
