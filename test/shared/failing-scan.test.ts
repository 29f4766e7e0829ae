/**
 * Goal: iterators invalidate before they fail: after a block could not be had, a scan stands nowhere,
 * shows no row, and is as good as new after the next seek. Method: tables whose blocks fail at every
 * single read in turn, in walks of every direction.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MetastoreError } from '../../src/codec/errors.ts'
import { KeyBuilder } from '../../src/codec/keys.ts'
import type { RowScan } from '../../src/shared/read-view.ts'
import { Snapshot } from '../../src/shared/snapshot.ts'
import { topicPartition } from './row-keys.ts'
import { levelOf, tableOf, versionOf } from './tables.ts'
import type { Version } from './versions.ts'

const keys = new KeyBuilder()
const TP = topicPartition(new Uint8Array(16).fill(3), 1)
const PREFIX: Uint8Array = keys.extentPrefix(TP).slice()

function versions(from: number, step: number, sequence: number): Version[] {
  return Array.from({ length: 40 }, (_, i) => ({
    key: keys.extent(TP, from + i * step).slice(),
    sequence: sequence + i,
    isDelete: i % 11 === 10,
    value: i % 11 === 10 ? new Uint8Array(0) : Uint8Array.of(i, 1, 2, 3),
  }))
}

const WALKS: Readonly<Record<string, (scan: RowScan) => void>> = {
  forward: scan => {
    for (scan.seekFirst(); scan.valid; scan.next());
  },
  backward: scan => {
    for (scan.seekLast(); scan.valid; scan.prev());
  },
  'to and fro': scan => {
    scan.seek(keys.extent(TP, 60).slice())
    for (let i = 0; i < 25 && scan.valid; i++) scan.next()
    for (let i = 0; i < 50 && scan.valid; i++) scan.prev()
  },
}

for (const [name, walk] of Object.entries(WALKS)) {
  test(`a scan that fails stands nowhere, and can be used again: ${name}`, () => {
    let reads = 0
    let failAt = Number.POSITIVE_INFINITY
    const onBlock = (): void => {
      if (reads++ === failAt) throw new MetastoreError('CORRUPTION', 'the test wants it')
    }
    const snapshot = new Snapshot(
      [],
      versionOf([
        tableOf(versions(0, 3, 200), { onBlock }),
        tableOf(versions(1, 2, 100), { onBlock }),
        ...levelOf(versions(0, 4, 1), 1, 3, { onBlock }),
      ]),
      1000,
    )
    const seen = (): string[] => {
      const scan = snapshot.cursor(PREFIX)
      const rows: string[] = []
      for (scan.seekFirst(); scan.valid; scan.next())
        rows.push(Buffer.from(scan.key()).toString('hex'))
      snapshot.release()
      return rows
    }
    const expected = seen()
    reads = 0
    walk(snapshot.cursor(PREFIX))
    snapshot.release()
    const total = reads
    assert.ok(total > 10)
    for (let at = 0; at < total; at++) {
      const scan = snapshot.cursor(PREFIX)
      reads = 0
      failAt = at
      assert.throws(() => walk(scan), { code: 'CORRUPTION' }, `read ${at} of ${total}`)
      assert.equal(scan.valid, false)
      failAt = Number.POSITIVE_INFINITY
      const rows: string[] = []
      for (scan.seekFirst(); scan.valid; scan.next())
        rows.push(Buffer.from(scan.key()).toString('hex'))
      assert.deepEqual(rows, expected)
      snapshot.release()
      assert.deepEqual(seen(), expected)
    }
  })
}
