/**
 * Goal: a call finds the leader, and while there is none it holds up nobody. Method: Members alone,
 * with a made-up view of who leads.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetastoreError } from '../../src/codec/errors.ts'
import { Members, type MembersOptions } from '../../src/main/cluster/members.ts'

const SELF = 1
const OTHER = 3

interface View {
  leader: number
  isReady: boolean
}

function membersOf(view: View): Members {
  const options = {
    nodeId: SELF,
    transport: {},
    node: { leader: () => view.leader, someMember: () => OTHER, isMember: () => false },
    domains: [],
    book: { list: { change: 0, members: [] } },
    replicas: [
      {
        get isLeading() {
          return view.isReady
        },
      },
    ],
    administer: () => Promise.resolve(undefined),
  }
  return new Members(options as unknown as MembersOptions)
}

function notLeading(leader: number): MetastoreError {
  return new MetastoreError('UNAVAILABLE', 'led elsewhere', { details: { leader } })
}

test('a node that was elected and is not ready yet keeps its event loop free', async () => {
  const view: View = { leader: 0, isReady: false }
  const asked: number[] = []
  const call = membersOf(view).call(0, false, {
    here: () => Promise.resolve('here'),
    there: leader => {
      asked.push(leader)
      view.leader = SELF
      setTimeout(() => {
        view.isReady = true
      }, 20)
      return Promise.reject(notLeading(2))
    },
  })
  assert.equal(await call, 'here')
  assert.deepEqual(asked, [OTHER])
})

test('a leader that another member names is asked at once', async () => {
  const view: View = { leader: 0, isReady: false }
  const asked: number[] = []
  const call = membersOf(view).call(0, false, {
    here: () => Promise.resolve(0),
    there: leader => {
      asked.push(leader)
      return leader === 2 ? Promise.resolve(leader) : Promise.reject(notLeading(2))
    },
  })
  assert.equal(await call, 2)
  assert.deepEqual(asked, [OTHER, 2])
})
