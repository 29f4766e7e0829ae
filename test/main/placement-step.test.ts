/**
 * Goal: a group goes to other voters in steps that never leave it without a majority that has its
 * log. Method: the steps from many configurations, by hand and carried out to the end.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { initialConfiguration, preferredLeader } from '../../src/main/cluster/placement.ts'
import { placementStep } from '../../src/main/cluster/placement-step.ts'
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'

const voters = (...ids: number[]) => ({ ...EMPTY_CONF_STATE, voters: ids })
const all = (): number => 1000

test('new members learn first, and vote when they have caught up', () => {
  const learns = placementStep(voters(1, 2, 3), [1, 2, 4], 1000, all)
  assert.deepEqual(learns, {
    kind: 'change',
    change: { transition: 'auto', changes: [{ operation: 'learner', member: 4 }] },
  })
  const learning = { ...voters(1, 2, 3), learners: [4] }
  for (const match of [0, 1, 743]) {
    const late = placementStep(learning, [1, 2, 4], 1000, id => (id === 4 ? match : 1000))
    assert.deepEqual(late, { kind: 'wait' })
  }
  const young = placementStep(learning, [1, 2, 4], 10, id => (id === 4 ? 0 : 10))
  assert.deepEqual(young, { kind: 'wait' }, 'nothing was heard of it')
  assert.deepEqual(
    placementStep(learning, [1, 2, 4], 1000, id => (id === 4 ? 744 : 1000)),
    {
      kind: 'change',
      change: {
        transition: 'auto',
        changes: [
          { operation: 'voter', member: 4 },
          { operation: 'remove', member: 3 },
        ],
      },
    },
  )
})

test('a joint configuration is waited for, and what is left over goes', () => {
  const joint = { ...voters(1, 2, 4), votersOutgoing: [1, 2, 3] }
  assert.deepEqual(placementStep(joint, [1, 2, 4], 9, all), { kind: 'wait' })
  assert.deepEqual(placementStep(voters(1, 2, 4), [1, 2, 4], 9, all), { kind: 'done' })
  const left = placementStep({ ...voters(1, 2), learners: [7] }, [1, 2], 9, all)
  assert.equal(left.kind, 'change')
})

test('voters and leaders are spread evenly', () => {
  const nodes = [2, 3, 5, 8, 13]
  const groups = Array.from({ length: 10 }, (_, group) => initialConfiguration(group, nodes, 3))
  const leaders = groups.map(({ voters: of }, group) => preferredLeader(group, of))
  for (const node of nodes) {
    assert.equal(groups.filter(({ voters: of }) => of.includes(node)).length, 6)
    const led = leaders.filter(leader => leader === node).length
    assert.ok(led >= 1 && led <= 4, `node ${node} leads ${led}`)
  }
})
