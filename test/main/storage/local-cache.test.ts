/**
 * Goal: the local cache stays within its bytes, keeps what is used, tells of what it evicts, and
 * takes over the files of an earlier instance. Method: small files in a temporary directory.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test, { after } from 'node:test'
import { LocalCache } from '../../../src/main/storage/local-cache.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

const directories: string[] = []
after(() => Promise.all(directories.map(path => rm(path, { recursive: true, force: true }))))

async function newDirectory(): Promise<string> {
  const path = await temporaryDirectory()
  directories.push(path)
  return path
}

class Fixture {
  readonly used = new Set<string>()
  readonly evicted: string[] = []
  readonly cache: LocalCache

  readonly directory: string

  constructor(directory: string, bytesMax: number) {
    this.directory = directory
    this.cache = new LocalCache({
      directory,
      bytesMax,
      wasUsed: name => this.used.delete(name),
      onEvicted: name => this.evicted.push(name),
      logger: SILENT,
    })
  }

  async put(name: string, sizeBytes: number): Promise<void> {
    const path = join(this.directory, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, new Uint8Array(sizeBytes).fill(1))
    this.cache.added(name, sizeBytes)
  }
}

test('past its bytes the file that was not used goes, from disk as well', async () => {
  const fixture = new Fixture(await newDirectory(), 100)
  await fixture.put('a/1.sst', 40)
  await fixture.put('a/2.sst', 40)
  fixture.used.add('a/1.sst')
  await fixture.put('a/3.sst', 40)
  await fixture.cache.close()
  assert.deepEqual(fixture.evicted, ['a/2.sst'])
  assert.equal(fixture.cache.sizeBytes, 80)
  assert.equal(existsSync(join(fixture.directory, 'a/1.sst')), true)
  assert.equal(existsSync(join(fixture.directory, 'a/2.sst')), false)
  assert.equal(existsSync(join(fixture.directory, 'a/3.sst')), true)
})

test('when all were used one goes all the same, but never the newest', async () => {
  const fixture = new Fixture(await newDirectory(), 100)
  await fixture.put('1.sst', 60)
  fixture.used.add('1.sst')
  fixture.used.add('2.sst')
  await fixture.put('2.sst', 60)
  assert.deepEqual(fixture.evicted, ['1.sst'])
  // One that is larger than the whole cache stays until the next one comes.
  await fixture.put('3.sst', 200)
  assert.deepEqual(fixture.evicted, ['1.sst', '2.sst'])
  assert.equal(fixture.cache.fileCount, 1)
  await fixture.cache.close()
})

test('ranges of one file add up; a removed one is gone and not told of twice', async () => {
  const fixture = new Fixture(await newDirectory(), 1000)
  await fixture.put('1.sst', 10)
  fixture.cache.added('1.sst', 20)
  assert.equal(fixture.cache.sizeBytes, 30)
  fixture.cache.remove('1.sst')
  fixture.cache.remove('1.sst')
  await fixture.cache.close()
  assert.equal(fixture.cache.sizeBytes, 0)
  assert.deepEqual(fixture.evicted, ['1.sst'])
  assert.equal(existsSync(join(fixture.directory, '1.sst')), false)
})

test('takes over what is there, removes half-written files, and evicts down to its bytes', async () => {
  const directory = await newDirectory()
  const before = new Fixture(directory, 1_000_000)
  for (let i = 0; i < 4; i++) await before.put(`d/t/${i}.sst`, 8192)
  await writeFile(join(directory, 'd/t/5.sst.123.tmp'), 'torn')
  await before.cache.close()
  const after = new Fixture(directory, 20_000)
  await after.cache.load()
  await after.cache.close()
  assert.equal(existsSync(join(directory, 'd/t/5.sst.123.tmp')), false)
  assert.equal(after.cache.fileCount, 2)
  assert.equal(after.evicted.length, 2)
  const left = [0, 1, 2, 3].filter(i => existsSync(join(directory, `d/t/${i}.sst`)))
  assert.equal(left.length, 2)
})

test('an empty or absent directory is an empty cache', async () => {
  const fixture = new Fixture(join(await newDirectory(), 'absent'), 100)
  await fixture.cache.load()
  assert.equal(fixture.cache.fileCount, 0)
})
