/**
 * Goal: a manifest is proposed only in the time of leading that it was made in.
 * Method: a committer over a domain, a bucket and a log of the test's own.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeManifest, type Manifest } from '../../../src/codec/manifest.ts'
import {
  ManifestCommitter,
  type ManifestCommitterOptions,
} from '../../../src/main/storage/manifest-committer.ts'
import { DOMAIN_UUID } from '../replication/fake-domain.ts'

const manifest: Manifest = {
  clusterId: DOMAIN_UUID,
  domain: DOMAIN_UUID,
  epoch: 5,
  version: 1,
  parent: null,
  lastSequence: 10,
  lastIndex: 20,
  nextTableId: 1,
  createdAt: 0,
  compactionCursors: [],
  tables: [],
}

class Fixture {
  leadership = 1
  readonly proposed: number[] = []
  readonly stored: string[] = []
  /** Lets go what waits for the bucket. */
  release: () => void = () => {}
  readonly committer: ManifestCommitter

  constructor() {
    const fixture = this
    const domain = {
      number: 0,
      manifest,
      hasUnflushed: false,
      get leadership(): number {
        return fixture.leadership
      },
      expectAlive: () => {},
      manage: () => Promise.resolve(encodeManifest(manifest)),
      committed: () => Promise.resolve(),
    }
    const log = {
      term: () => 5,
      propose: (_: number, kind: number) => this.proposed.push(kind),
      flush: () => {},
      cut: () => {},
    }
    const io = {
      run: async ({ type }: { type: string }) => {
        this.stored.push(type)
        await new Promise<void>(resolve => {
          this.release = resolve
        })
        return 'created'
      },
    }
    const tables = { add: () => {}, discard: () => {} }
    const options = { domain, log, io, tables, now: () => 0 }
    this.committer = new ManifestCommitter(options as unknown as ManifestCommitterOptions)
  }
}

test('a manifest that the bucket took too long for is not proposed in a later leadership', async () => {
  const fixture = new Fixture()
  const edit = { kind: 'flush', tables: [], lastSequence: 10, lastIndex: 20 } as const
  const done = assert.rejects(fixture.committer.commit(edit), { code: 'UNAVAILABLE' })
  await new Promise(setImmediate)
  // Somebody else has led, and maybe flushed, in between.
  fixture.leadership = 2
  fixture.release()
  await done
  assert.deepEqual(fixture.proposed, [])
})

test('nothing is put into the bucket for a leadership that is over', async () => {
  const fixture = new Fixture()
  fixture.leadership = 0
  const edit = { kind: 'compaction', tables: [] } as const
  await assert.rejects(fixture.committer.commit(edit), { code: 'UNAVAILABLE' })
  await assert.rejects(fixture.committer.announce(), { code: 'UNAVAILABLE' })
  await assert.rejects(fixture.committer.moveForward(), { code: 'UNAVAILABLE' })
  assert.deepEqual([fixture.stored, fixture.proposed], [[], []])
})
