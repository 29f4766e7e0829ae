/**
 * Goal: a directory store keeps the contract, is atomic also between processes and against
 * readers, and shows neither left-overs nor foreign files.
 * Method: the contract suite in temporary folders; real child processes for the race; the file
 * system looked at and tampered with from outside.
 */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MetastoreError } from '../../src/codec/errors.ts'
import type { ObjectInfo } from '../../src/shared/object-store.ts'
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'
import { bytes, keysOf, objectStoreContract } from './contract.ts'

objectStoreContract('directory', async () => {
  const root = await makeRoot()
  const close = () => rm(root, { recursive: true, force: true })
  // One level deeper, so that the store makes its root itself.
  return { store: new DirectoryObjectStore(join(root, 'deep', 'bucket')), close }
})

function makeRoot(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'waymark-directory-'))
}

/** The number in the metadata `value`. */
function valueOfMetadata(info: ObjectInfo | null): number {
  const { value } = info?.metadata ?? {}
  return Number(value)
}

type InRoot = (root: string, store: DirectoryObjectStore) => Promise<void>

function inRoot(claim: string, body: InRoot): void {
  test(claim, async () => {
    const root = await makeRoot()
    try {
      await body(root, new DirectoryObjectStore(root))
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  })
}

describe('directory object store', () => {
  inRoot('an object is a plain file at its key, and no helper file stays', async (root, store) => {
    await store.put('a/b/c', bytes(10), { metadata: { name: 'value' } })
    await store.put('a/b/c', bytes(12), { metadata: { name: 'value' } })
    await store.put('a/b/c', bytes(14), { ifNoneMatch: true })
    assert.deepEqual(new Uint8Array(await readFile(join(root, 'a/b/c'))), bytes(12))
    assert.deepEqual(await readdir(join(root, 'a/b')), ['c'])
    assert.deepEqual(await readdir(join(root, '.tmp')), [])
  })

  inRoot('of two processes that race for a key exactly one creates it', async root => {
    const script = fileURLToPath(new URL('./racing-process.js', import.meta.url))
    const processes = [fork(script, [root]), fork(script, [root])]
    await Promise.all(processes.map(child => once(child, 'message')))
    const keys = Array.from({ length: 60 }, (_, i) => `race/${i % 3}/${i}`)
    const answers = processes.map(child => once(child, 'message'))
    const exits = processes.map(child => once(child, 'exit'))
    for (const child of processes) child.send(keys)
    const created = (await Promise.all(answers)).map(([list]) => list as string[])
    await Promise.all(exits)
    assert.deepEqual(created.flat().toSorted(), keys.toSorted())
    for (const [i, list] of created.entries()) {
      for (const key of list) {
        assert.equal(await readFile(join(root, key), 'utf8'), `process ${processes[i].pid}`)
      }
    }
  })

  inRoot('two processes that count by puts that have to match lose none', async (root, store) => {
    const script = fileURLToPath(new URL('./counting-process.js', import.meta.url))
    const processes = [fork(script, [root]), fork(script, [root])]
    await Promise.all(processes.map(child => once(child, 'message')))
    const exits = processes.map(child => once(child, 'exit'))
    for (const child of processes) child.send({ key: 'count', times: 40 })
    await Promise.all(exits)
    assert.equal(Buffer.from((await store.get('count')) ?? []).toString(), '80')
  })

  inRoot('a put that has to match and cannot look is no put that did not match', async root => {
    // A link to itself: nobody can say of which version it is.
    await symlink('loop', join(root, 'loop'))
    const put = new DirectoryObjectStore(root).put('loop', bytes(1), { ifMatch: 'any' })
    await assert.rejects(put, { code: 'UNAVAILABLE' })
  })

  inRoot('readers see whole objects while writers overwrite them', async (_root, store) => {
    const sizeBytes = 300_000
    const body = (value: number) => new Uint8Array(sizeBytes + value).fill(value)
    await store.put('k', body(0), { metadata: { value: '0' } })
    let writing = true
    async function write(first: number): Promise<void> {
      for (let value = first; value < first + 20; value++) {
        await store.put('k', body(value), { metadata: { value: `${value}` } })
      }
    }
    async function read(): Promise<number> {
      let count = 0
      while (writing) {
        const found = await store.get('k')
        assert.ok(found !== null)
        assert.equal(Buffer.compare(found, body(found[0])), 0)
        const info = await store.head('k')
        assert.equal(info?.sizeBytes, sizeBytes + valueOfMetadata(info))
        count++
      }
      return count
    }
    const reads = [read(), read()]
    await Promise.all([write(1), write(100)])
    writing = false
    for (const count of await Promise.all(reads)) assert.ok(count > 0)
  })

  inRoot('what a dead upload left is invisible until it is swept', async (root, store) => {
    await store.put('k', bytes(3))
    const old = join(root, '.tmp', '1234-0-00ff')
    await writeFile(old, 'torn')
    await writeFile(join(root, '.tmp', '1234-0-11ff'), 'still written')
    const hourAgo = new Date(Date.now() - 3_600_000)
    await utimes(old, hourAgo, hourAgo)
    assert.deepEqual(await keysOf(store, ''), ['k'])
    await assert.rejects(store.get('.tmp/1234-0-00ff'), { code: 'INVALID_REQUEST' })
    assert.equal(await store.sweepTemporary(60_000), 1)
    assert.deepEqual(await readdir(join(root, '.tmp')), ['1234-0-11ff'])
    assert.deepEqual(await store.get('k'), bytes(3))
  })

  inRoot('a store that was never used lists, reads, deletes and sweeps nothing', async root => {
    const store = new DirectoryObjectStore(join(root, 'none'))
    assert.deepEqual(await keysOf(store, ''), [])
    assert.equal(await store.get('k'), null)
    await store.delete(['k'])
    assert.equal(await store.sweepTemporary(0), 0)
    assert.deepEqual(await readdir(root), [])
  })

  inRoot('files whose names are no keys, and links, are not listed', async (root, store) => {
    await store.put('d/k', bytes(3))
    await writeFile(join(root, 'd', 'caf\u00e9'), 'x')
    await writeFile(join(root, 'd', 'back\\slash'), 'x')
    await mkdir(join(root, 'd', '.tmp-other'))
    await writeFile(join(root, 'd', '.tmp-other', 'x'), 'x')
    await symlink(join(root, 'd', 'k'), join(root, 'd', 'link'))
    await writeFile(join(root, 'd', 'foreign'), 'x')
    assert.deepEqual(await keysOf(store, ''), ['d/foreign', 'd/k'])
    assert.deepEqual((await store.head('d/foreign'))?.metadata, {})
  })

  inRoot('a key below an object, or at a directory, is refused by name', async (_root, store) => {
    await store.put('a', bytes(1))
    await store.put('b/c', bytes(1))
    const refusals = [
      () => store.put('a/b', bytes(1)),
      () => store.put('b', bytes(1)),
      () => store.put('b', bytes(1), { ifNoneMatch: true }),
    ]
    for (const call of refusals) await assert.rejects(call, { code: 'INVALID_REQUEST' })
    assert.equal(await store.get('a/b'), null)
    assert.equal(await store.head('b'), null)
    await store.delete(['b', 'a/b'])
    assert.deepEqual(await keysOf(store, ''), ['a', 'b/c'])
  })

  inRoot('a directory removed from outside is made again', async (root, store) => {
    await store.put('d/e/k', bytes(3))
    await rm(join(root, 'd'), { recursive: true })
    await rm(join(root, '.tmp'), { recursive: true })
    assert.equal(await store.put('d/e/k', bytes(4), { ifNoneMatch: true }), 'created')
    assert.deepEqual(await store.get('d/e/k'), bytes(4))
  })

  inRoot('puts and deletes of one key may race, and nothing fails', async (_root, store) => {
    async function churn(): Promise<void> {
      for (let i = 0; i < 15; i++) {
        await store.put('d/k', bytes(20))
        const found = await store.get('d/k')
        if (found !== null) assert.deepEqual(found, bytes(20))
        await store.list('d/')
        await store.delete(['d/k'])
      }
    }
    await Promise.all([churn(), churn(), churn()])
    assert.deepEqual(await keysOf(store, ''), [])
  })

  inRoot('an error of the file system is UNAVAILABLE with its cause', async root => {
    await writeFile(join(root, 'file'), 'x')
    const store = new DirectoryObjectStore(join(root, 'file'))
    await assert.rejects(store.put('k', bytes(1)), error => {
      assert.ok(error instanceof MetastoreError)
      assert.equal(error.code, 'UNAVAILABLE')
      assert.match(error.message, /put of 'k' failed/)
      return error.cause instanceof Error
    })
  })
})
