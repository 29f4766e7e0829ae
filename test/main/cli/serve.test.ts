/**
 * Goal: `waymark serve` runs members of a cluster, tells their health, and ends with the right code.
 * Method: the compiled program as a process, with real config files.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { MetastoreStatus } from '../../../src/index.ts'
import { freePorts } from '../../free-ports.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../../../src/main/cli/waymark.js', import.meta.url))
/** In the sources: certificates are not compiled. */
const CERTIFICATES = fileURLToPath(
  new URL('../../../../test/main/net/certificates/', import.meta.url),
)
const TIMEOUT_MS = 60_000

interface LogLine {
  level: number
  msg: string
  port?: number
  err?: { code: string; message: string }
}

class Served {
  readonly child: ChildProcess
  readonly ended: Promise<unknown[]>
  #text = ''

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.ended = once(this.child, 'exit')
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString()
    })
  }

  /** Every line must be JSON. */
  get lines(): LogLine[] {
    const whole = this.#text.slice(0, this.#text.lastIndexOf('\n') + 1)
    return whole
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as LogLine)
  }

  async line(msg: string): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(line => line.msg === msg)
      if (found !== undefined) return found
      if (this.child.exitCode !== null) assert.fail(`it has ended: ${this.#text}`)
      await sleep(10)
    }
  }

  async get(path: string, method = 'GET'): Promise<Response> {
    const { port } = await this.line('health endpoint listens')
    return await fetch(`http://127.0.0.1:${port}${path}`, { method })
  }

  /** Waits until /healthz answers with that. */
  async health(code: number, state: string): Promise<unknown> {
    for (;;) {
      const response = await this.get('/healthz')
      const body = (await response.json()) as { state: string }
      if (response.status === code && body.state === state) return body
      await sleep(20)
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGINT'): Promise<unknown> {
    this.child.kill(signal)
    const [code] = await this.ended
    return code
  }
}

let directory: string
let served: Served[]

beforeEach(async () => {
  directory = await temporaryDirectory()
  served = []
})

afterEach(async () => {
  for (const { child } of served) child.kill('SIGKILL')
  await Promise.all(served.map(({ ended }) => ended))
  await rm(directory, { recursive: true })
})

function start(...args: string[]): Served {
  const process = new Served(args)
  served.push(process)
  return process
}

function configFile(name: string, config: unknown): string {
  const file = join(directory, name)
  writeFileSync(file, JSON.stringify(config))
  return file
}

function soloConfig(): object {
  return {
    dataDir: join(directory, 'data'),
    objectStore: `file:${join(directory, 'bucket')}`,
    partitions: 2,
    workers: 1,
    health: { host: '127.0.0.1', port: 0 },
  }
}

function memberConfig(nodeId: number, ports: readonly number[]): object {
  const host = '127.0.0.1'
  return {
    dataDir: join(directory, `data-${nodeId}`),
    objectStore: `file:${join(directory, 'bucket')}`,
    partitions: 3,
    workers: 1,
    cluster: {
      nodeId,
      listen: { host, port: ports[nodeId - 1] },
      members: ports.map((port, i) => ({ nodeId: i + 1, host, port })),
      secretFile: join(directory, 'secret'),
      tls: {
        keyFile: join(CERTIFICATES, 'member.key'),
        certFile: join(CERTIFICATES, 'member.pem'),
        caFile: join(CERTIFICATES, 'authority.pem'),
      },
      electionTimeoutMs: 500,
    },
    health: { host, port: 0 },
  }
}

async function startThree(): Promise<Served[]> {
  const ports = await freePorts(3)
  writeFileSync(join(directory, 'secret'), 'a secret of the tests\n')
  const files = [1, 2, 3].map(id => configFile(`node-${id}.json`, memberConfig(id, ports)))
  const first = start('serve', '--config', files[0])
  const alone = await first.health(503, 'waiting for leaders')
  assert.deepEqual(alone, { state: 'waiting for leaders', withoutLeader: [0, 1, 2] })
  const nodes = [first, ...files.slice(1).map(file => start('serve', '--config', file))]
  for (const node of nodes) await node.health(200, 'ok')
  return nodes
}

async function statusOf(node: Served): Promise<MetastoreStatus> {
  return (await (await node.get('/status')).json()) as MetastoreStatus
}

test('a node of its own: health, status, and an end in order, twice', {
  timeout: TIMEOUT_MS,
}, async () => {
  const file = configFile('solo.json', soloConfig())
  const ids: string[] = []
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const node = start('serve', '--config', file)
    assert.deepEqual(await node.health(200, 'ok'), { state: 'ok', withoutLeader: [] })
    const { clusterId, partitions } = await statusOf(node)
    ids.push(clusterId)
    assert.deepEqual(
      partitions.map(({ role }) => role),
      ['leader', 'leader'],
    )
    assert.equal((await node.get('/elsewhere')).status, 404)
    assert.equal((await node.get('/healthz', 'POST')).status, 405)
    assert.equal(await node.stop(signal), 0)
    assert.equal(node.lines.at(-1)?.msg, 'closed')
    assert.ok(node.lines.every(({ level }) => level < 50))
  }
  assert.equal(ids[0], ids[1])
})

test('three served members with TLS and a secret from files elect leaders', {
  timeout: TIMEOUT_MS,
}, async () => {
  const nodes = await startThree()
  const views = await Promise.all(nodes.map(statusOf))
  for (const { clusterId } of views) assert.equal(clusterId, views[0].clusterId)
  for (const node of nodes) assert.equal(await node.stop('SIGTERM'), 0)
})

test('a member whose disk fails ends with 1', { timeout: TIMEOUT_MS }, async () => {
  const [first, second, third] = await startThree()
  execFileSync('prlimit', ['--pid', String(first.child.pid), '--fsize=0'])
  // Of the other two one led something, so this node has to write down a vote.
  await Promise.all([second, third].map(node => node.stop('SIGTERM')))
  start('serve', '--config', join(directory, 'node-2.json'))
  start('serve', '--config', join(directory, 'node-3.json'))
  assert.deepEqual(await first.ended, [1, null])
  assert.equal(first.lines.at(-1)?.msg, 'ended by a failure')
})

test('an address that is taken ends it with 1', { timeout: TIMEOUT_MS }, async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  try {
    await once(taken, 'listening')
    const address = taken.address()
    assert.ok(typeof address === 'object' && address !== null)
    const health = { host: '127.0.0.1', port: address.port }
    const node = start('serve', '--config', configFile('taken.json', { ...soloConfig(), health }))
    assert.deepEqual(await node.ended, [1, null])
    assert.match(node.lines.at(-1)?.err?.message ?? '', /cannot listen at health 127\.0\.0\.1:/)
  } finally {
    taken.close()
  }
})

test('a wrong config, one that is another cluster’s, and wrong use end it with 2', {
  timeout: TIMEOUT_MS,
}, async () => {
  const solo = start('serve', '--config', configFile('solo.json', soloConfig()))
  await solo.health(200, 'ok')
  await solo.stop('SIGTERM')
  const wrong = start('serve', '--config', configFile('a.json', { ...soloConfig(), workers: 0 }))
  assert.deepEqual(await wrong.ended, [2, null])
  const { err } = wrong.lines.at(-1) ?? {}
  assert.equal(err?.code, 'INVALID_REQUEST')
  assert.match(err.message, /workers must be an integer from 1 to 1024, not 0/)
  const other = start('serve', '--config', configFile('b.json', { ...soloConfig(), partitions: 3 }))
  assert.deepEqual(await other.ended, [2, null])
  assert.match(other.lines.at(-1)?.err?.message ?? '', /created with 2/)
  assert.deepEqual(await start('serve').ended, [2, null])
  assert.deepEqual(await start('server').ended, [2, null])
})
