/**
 * Goal: who waits for a flush is told when there will be none any more.
 * Method: a flusher over a domain that is frozen when the test says so.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { Flusher, type FlusherOptions } from '../../../src/main/storage/flusher.ts'

test('a flush that began before the end, and waits only after it, is refused', {
  timeout: 5000,
}, async () => {
  let frozen: (sequence: number) => void = () => {}
  const domain = {
    number: 0,
    manifest: null,
    memtables: { frozen: [] },
    manage: () =>
      new Promise<number>(resolve => {
        frozen = resolve
      }),
  }
  const committer = { announcedSequence: 0, isAnnounced: false }
  const options = { domain, committer, now: () => 0, random: () => 0 }
  const flusher = new Flusher(options as unknown as FlusherOptions)
  const flushing = flusher.flush()
  const reason = new MetastoreError('UNAVAILABLE', 'this node leads no more')
  await flusher.close(reason)
  frozen(10)
  await assert.rejects(flushing, reason)
})
