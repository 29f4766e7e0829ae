/**
 * Three nodes on the loopback, a process each: writes and reads at any of them, kills the one that
 * leads with SIGKILL, goes on with the other two, and lets the killed one catch up.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MetastoreOptions } from '../../src/index.ts'
import { NodeProcess } from './node-process.ts'

const HOST = '127.0.0.1'
const NODE_IDS = [1, 2, 3]

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Free now, and hardly taken by anybody in the next moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST)
  await new Promise(resolve => server.once('listening', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('there is no free port')
  return address.port
}

/** All that a node of a cluster needs to know; the bucket is one for all. */
function optionsOf(nodeId: number, ports: readonly number[], directory: string): MetastoreOptions {
  return {
    dataDir: join(directory, `node-${nodeId}`),
    objectStore: `file:${join(directory, 'bucket')}`,
    partitions: 1,
    cluster: {
      nodeId,
      listen: { host: HOST, port: ports[nodeId - 1] },
      members: NODE_IDS.map(id => ({ nodeId: id, host: HOST, port: ports[id - 1] })),
      secret: 'known to the three',
    },
  }
}

async function leaderOf(node: NodeProcess): Promise<number> {
  for (;;) {
    const leader = await node.ask({ what: 'leader' })
    if (leader !== undefined) return Number(leader)
    await sleep(20)
  }
}

async function run(directory: string): Promise<void> {
  const ports = await Promise.all(NODE_IDS.map(freePort))
  const topicId = randomUUID()
  const start = (id: number): Promise<NodeProcess> =>
    NodeProcess.start(optionsOf(id, ports, directory), topicId)
  const nodes = new Map<number, NodeProcess>()
  const node = (id: number): NodeProcess => {
    const found = nodes.get(id)
    if (found === undefined) throw new Error(`node ${id} is not there`)
    return found
  }
  const expect = async (id: number, key: string, value: string): Promise<void> => {
    const found = await node(id).ask({ what: 'get', key })
    if (found !== value) throw new Error(`node ${id}: ${key} is ${found}, not ${value}`)
    say(`node ${id} reads: ${key} is ${found}`)
  }
  try {
    await Promise.all(NODE_IDS.map(async id => nodes.set(id, await start(id))))
    const leader = await leaderOf(node(1))
    say(`three nodes; node ${leader} leads`)

    await node(1).ask({ what: 'put', key: 'sky', value: 'blue' })
    for (const id of NODE_IDS) await expect(id, 'sky', 'blue')

    await node(leader).kill()
    nodes.delete(leader)
    const [other, another] = [...nodes.keys()]
    const startedAt = performance.now()
    await node(other).ask({ what: 'put', key: 'sky', value: 'grey' })
    const waitedMs = Math.round(performance.now() - startedAt)
    const next = await leaderOf(node(other))
    say(`node ${leader} was killed; a write waited ${waitedMs} ms until node ${next} led`)
    await expect(another, 'sky', 'grey')

    nodes.set(leader, await start(leader))
    say(`node ${leader} is back`)
    await expect(leader, 'sky', 'grey')
  } finally {
    await Promise.all([...nodes.values()].map(started => started.close()))
  }
}

const directory = mkdtempSync(join(tmpdir(), 'waymark-cluster-'))
try {
  await run(directory)
  say('all as it should be')
} finally {
  rmSync(directory, { recursive: true, force: true })
}
