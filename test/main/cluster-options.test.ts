/**
 * Goal: options of a cluster are checked once, completed with their defaults, and refused by name.
 * Method: one good set, and each field wrong in turn.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { type ClusterOptions, checkCluster } from '../../src/main/cluster/cluster-options.ts'

const member = (nodeId: number) => ({ nodeId, host: `host-${nodeId}`, port: 4000 + nodeId })
const GOOD: ClusterOptions = {
  nodeId: 2,
  listen: { host: '0.0.0.0', port: 0 },
  members: [3, 1, 2, 4].map(member),
}

test('defaults follow the members and the election timeout', () => {
  const checked = checkCluster(GOOD)
  assert.deepEqual(checked, {
    ...GOOD,
    members: [1, 2, 3, 4].map(member),
    ...{ replicationFactor: 3, electionTimeoutMs: 1000, heartbeatIntervalMs: 100 },
    ...{ readLeases: false, secret: undefined, tls: undefined },
  })
  assert.equal(checkCluster({ ...GOOD, members: [member(2)] }).replicationFactor, 1)
  assert.equal(checkCluster({ ...GOOD, electionTimeoutMs: 150 }).heartbeatIntervalMs, 50)
})

const WRONG: readonly (readonly [Partial<Record<keyof ClusterOptions | 'x', unknown>>, RegExp])[] =
  [
    [{ nodeId: 0 }, /cluster\.nodeId .* not 0/],
    [{ nodeId: 2 ** 31 }, /cluster\.nodeId/],
    [{ listen: { host: '', port: 1 } }, /cluster\.listen\.host/],
    [{ listen: { host: 'a', port: 65_536 } }, /cluster\.listen\.port .* 65536/],
    [{ members: [] }, /cluster\.members/],
    [{ members: [member(2), member(2)] }, /has node 2 twice/],
    [{ members: [member(2), { nodeId: 3, host: 'a', port: 0 }] }, /members\[1\]\.port/],
    [{ replicationFactor: 5 }, /cluster\.replicationFactor .* 5/],
    [{ secret: '' }, /cluster\.secret/],
    [{ tls: { key: 'k', cert: 'c' } }, /cluster\.tls\.ca/],
    [{ electionTimeoutMs: 49 }, /cluster\.electionTimeoutMs/],
    [{ electionTimeoutMs: 300, heartbeatIntervalMs: 101 }, /cluster\.heartbeatIntervalMs/],
    [{ readLeases: 1 }, /cluster\.readLeases/],
    [{ x: 1 }, /cluster\.x is not known/],
  ]

for (const [changed, message] of WRONG) {
  test(`refused: ${JSON.stringify(changed).slice(0, 60)}`, () => {
    const options = { ...GOOD, ...changed } as ClusterOptions
    assert.throws(() => checkCluster(options), { code: 'INVALID_REQUEST', message })
  })
}
