/**
 * Goal: what is wrong in a config file is named, with its value. Method: files that are wrong in one
 * place each.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { readServeConfig } from '../../../src/main/cli/serve-config.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'

let directory: string

beforeEach(async () => {
  directory = await temporaryDirectory()
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

const right = { dataDir: 'data', objectStore: 'file:bucket' }
const cluster = {
  nodeId: 1,
  listen: { host: '127.0.0.1', port: 1 },
  members: [{ nodeId: 1, host: '127.0.0.1', port: 1 }],
}

function file(text: string): string {
  const path = join(directory, 'config.json')
  writeFileSync(path, text)
  return path
}

const WRONG: readonly [what: unknown, message: RegExp][] = [
  [[], /the config must be an object, not \[\]/],
  [{ objectStore: 'file:bucket' }, /dataDir must be a path, not undefined/],
  [{ ...right, objectStore: 's5:x' }, /objectStore must be .*not "s5:x"/],
  [{ ...right, s3: 'x' }, /s3 must be an object, not string/],
  [{ ...right, s3: { bucket: 'x' } }, /s3\.bucket is not known/],
  [{ ...right, partitoins: 4 }, /partitoins is not known to this version; it is 4/],
  [{ ...right, tailIntervalMs: '5s' }, /tailIntervalMs must be an integer .*, not "5s"/],
  [{ ...right, logger: {} }, /logger is not known to this version; it is \{\}/],
  [{ ...right, from: 'x' }, /from is not known to this version; it is "x"/],
  [{ ...right, ioThreads: 3 }, /ioThreads must be an object, not 3/],
  [{ ...right, ioThreads: { mni: 1 } }, /ioThreads\.mni is not known .* it is 1/],
  [{ ...right, health: true }, /health must be an object, not true/],
  [{ ...right, health: { port: 1 } }, /health\.host must be a name or address, not undefined/],
  [{ ...right, health: { host: 'x', port: '1' } }, /health\.port must be .*, not "1"/],
  [{ ...right, health: { host: 'x', port: 1, path: '/' } }, /health\.path is not known .* "\/"/],
  [{ ...right, cluster: 1 }, /cluster must be an object, not 1/],
  [{ ...right, cluster: { ...cluster, nodeId: 0 } }, /cluster\.nodeId must be .*, not 0/],
  [{ ...right, cluster: { ...cluster, id: 7 } }, /cluster\.id is not known .* it is 7/],
  [
    { ...right, cluster: { ...cluster, members: [{ ...cluster.members[0], name: 'a' }] } },
    /cluster\.members\[0\]\.name is not known .* it is "a"/,
  ],
  [
    { ...right, cluster: { ...cluster, secret: 'a', secretFile: 'b' } },
    /cluster\.secret and cluster\.secretFile are both given/,
  ],
  [
    { ...right, cluster: { ...cluster, secretFile: '/not/there' } },
    /cluster\.secretFile is "\/not\/there", which cannot be read: .*ENOENT/,
  ],
  [
    { ...right, cluster: { ...cluster, tls: { keyFile: 1 } } },
    /cluster\.tls\.keyFile must be a path, not 1/,
  ],
  [
    { ...right, cluster: { ...cluster, tls: { key: 'x' } } },
    /cluster\.tls\.key is not known .* it is "x"/,
  ],
]

for (const [what, message] of WRONG) {
  test(`refused: ${message.source}`, () => {
    const path = file(JSON.stringify(what))
    assert.throws(() => readServeConfig(path), { code: 'INVALID_REQUEST', message })
  })
}

test('a file that is not there, or not JSON, is named', () => {
  const path = join(directory, 'absent.json')
  assert.throws(() => readServeConfig(path), { message: /--config is ".*absent\.json".*ENOENT/ })
  assert.throws(() => readServeConfig(file('{')), { message: /config\.json", which is not JSON/ })
})

test('files stand for the secret and the PEM texts', () => {
  for (const name of ['secret', 'key', 'cert', 'ca']) {
    writeFileSync(join(directory, name), `text of ${name}\n`)
  }
  const tls = {
    keyFile: join(directory, 'key'),
    certFile: join(directory, 'cert'),
    caFile: join(directory, 'ca'),
  }
  const health = { host: 'localhost', port: 0 }
  const secretFile = join(directory, 'secret')
  const path = file(
    JSON.stringify({ ...right, partitions: 4, cluster: { ...cluster, tls, secretFile }, health }),
  )
  assert.deepEqual(readServeConfig(path), {
    options: {
      ...right,
      partitions: 4,
      cluster: {
        ...cluster,
        secret: 'text of secret',
        tls: { key: 'text of key\n', cert: 'text of cert\n', ca: 'text of ca\n' },
      },
    },
    health,
  })
})

test('tailIntervalMs may be null: no tail', () => {
  const { options } = readServeConfig(file(JSON.stringify({ ...right, tailIntervalMs: null })))
  assert.equal(options.tailIntervalMs, null)
})
