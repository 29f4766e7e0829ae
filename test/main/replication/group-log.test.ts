/**
 * Goal: what a group's log gives is what it was handed, from memory and disk alike, whatever is
 * replaced, cut off or installed; and the configuration and snapshot are those of their index.
 * Method: random work beside an array, over the real log on a disk in memory; opened again at the
 * end.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DiskLog } from '../../../src/main/log/disk-log.ts'
import { type ConfState, EMPTY_CONF_STATE } from '../../../src/main/raft/configuration.ts'
import type { Entry } from '../../../src/main/raft/entry.ts'
import type { AppendWork } from '../../../src/main/raft/ready.ts'
import { recoverGroups } from '../../../src/main/recovery/recover-groups.ts'
import { GroupLog } from '../../../src/main/replication/group-log.ts'
import { ENTRY_KIND } from '../../../src/main/replication/replicated-log.ts'
import { FakeDisk } from '../log/fake-disk.ts'
import { manifestOf } from './replica-fixture.ts'

const GROUP = 3

function voters(...ids: number[]): ConfState {
  return { ...EMPTY_CONF_STATE, voters: ids }
}

async function openDisk(files: FakeDisk): Promise<DiskLog> {
  const options = { directory: '', durability: 'fsync', files } as const
  return await DiskLog.open({ ...options, onFatal: error => assert.fail(String(error)) })
}

function work(fields: Partial<AppendWork>): AppendWork {
  const nothing = { hardState: undefined, snapshot: undefined, entries: [], responses: [] }
  return { ...nothing, mustSync: true, ...fields }
}

const stepArbitrary = fc.oneof(
  fc.record({
    type: fc.constant('append' as const),
    /** How many of the last entries are replaced. */
    replaced: fc.nat({ max: 4 }),
    /** Entries are large, so that those in memory outgrow their limit. */
    sizes: fc.array(fc.constantFrom(10, 1_500_000), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ type: fc.constant('cut' as const), kept: fc.nat({ max: 6 }) }),
  fc.record({ type: fc.constant('install' as const), ahead: fc.nat({ max: 5 }) }),
  fc.record({ type: fc.constant('offer' as const), behind: fc.nat({ max: 3 }) }),
  fc.record({ type: fc.constant('configure' as const), voter: fc.integer({ min: 1, max: 9 }) }),
)

test('is like an array, over cuts, replacements and snapshots', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 20 }), async steps => {
      const files = new FakeDisk(4096)
      const disk = await openDisk(files)
      const log = new GroupLog(disk, GROUP, { configuration: voters(1), commit: 0 }, 1)
      let [cutIndex, cutTerm, term] = [0, 0, 1]
      let entries: Entry[] = []
      let offered = 0
      const configurations = [{ index: 0, configuration: voters(1) }]
      const last = (): number => cutIndex + entries.length
      const configurationAt = (index: number): ConfState =>
        configurations.filter(known => known.index <= index).at(-1)?.configuration ?? voters(1)

      for (const step of steps) {
        if (step.type === 'append') {
          term++
          const known = configurations.at(-1)?.index ?? 0
          const from = Math.max(cutIndex, known, offered, last() - step.replaced) + 1
          const added = step.sizes.map((size, i): Entry => {
            return { term, index: from + i, kind: ENTRY_KIND.rows, payload: new Uint8Array(size) }
          })
          log.append(work({ hardState: { term, vote: 0, commit: 0 }, entries: added }))
          entries = [...entries.slice(0, from - cutIndex - 1), ...added]
        } else if (step.type === 'cut') {
          // The leader offers what it cuts off before it does.
          const index = Math.min(last() - step.kept, offered)
          const cutTermThere = log.term(index)
          log.cut(index, last())
          if (index > cutIndex) {
            entries = entries.slice(index - cutIndex)
            cutTerm = cutTermThere ?? -1
            cutIndex = index
          }
        } else if (step.type === 'install') {
          term++
          cutIndex = last() + step.ahead + 1
          cutTerm = term
          entries = []
          const configuration = voters(1, cutIndex + 1)
          configurations.splice(0, configurations.length, { index: cutIndex, configuration })
          const data = manifestOf({ lastSequence: cutIndex, lastIndex: cutIndex })
          const snapshot = { index: cutIndex, term, configuration, data }
          log.append(work({ hardState: { term, vote: 0, commit: cutIndex }, snapshot }))
          offered = cutIndex
        } else if (step.type === 'offer') {
          const index = last() - step.behind
          if (index <= offered) continue
          log.offerSnapshot(index, new Uint8Array(1))
          offered = index
        } else {
          const index = last()
          if (index <= (configurations.at(-1)?.index ?? 0)) continue
          configurations.push({ index, configuration: voters(step.voter) })
          log.configurationChanged(index, voters(step.voter))
        }
        assert.deepEqual([log.firstIndex(), log.lastIndex()], [cutIndex + 1, last()])
        assert.equal(log.term(cutIndex), cutTerm)
        for (let from = cutIndex + 1; from <= last(); from++) {
          const found = log.entries(from, last() + 1, 2_000_000) ?? []
          assert.ok(found.length > 0)
          for (const [i, entry] of found.entries()) {
            const expected = entries[from + i - cutIndex - 1]
            assert.deepEqual([entry.index, entry.term], [expected.index, expected.term])
            assert.equal(entry.payload.length, expected.payload.length)
          }
        }
        assert.equal(log.entries(cutIndex, last() + 1, 10), undefined)
        const snapshot = log.snapshot()
        assert.equal(snapshot?.index ?? 0, offered)
        if (snapshot === undefined) continue
        assert.equal(snapshot.term, log.term(offered))
        assert.deepEqual(snapshot.configuration, configurationAt(offered))
      }
      await disk.close()
      const again = await openDisk(files)
      assert.deepEqual([again.firstIndex(GROUP), again.lastIndex(GROUP)], [cutIndex + 1, last()])
      await again.close()
    }),
    { numRuns: 25 },
  )
})

test('a crash between the base of a snapshot and its cut leaves the snapshot', async () => {
  const files = new FakeDisk(4096)
  const disk = await openDisk(files)
  const manifest = manifestOf({ epoch: 2, lastSequence: 90, lastIndex: 95 })
  // Of a leader that was deposed, and of no majority: none of it was ever committed.
  const stale = manifestOf({ epoch: 2, version: 9, lastSequence: 9, lastIndex: 9 })
  const entries: Entry[] = Array.from({ length: 20 }, (_, i) => {
    const kind = i === 10 ? ENTRY_KIND.manifest : ENTRY_KIND.rows
    return { term: 2, index: i + 1, kind, payload: i === 10 ? stale : new Uint8Array(5) }
  })
  const log = new GroupLog(disk, GROUP, { configuration: voters(1, 2, 3), commit: 0 }, 1)
  log.append(work({ hardState: { term: 2, vote: 0, commit: 0 }, entries }))
  // The last record that reaches the disk is the one before the cut.
  const cut = disk.cut.bind(disk)
  disk.cut = () => 0
  const snapshot = { index: 100, term: 4, configuration: voters(1, 2, 4), data: manifest }
  log.append(work({ hardState: { term: 4, vote: 0, commit: 100 }, snapshot }))
  disk.cut = cut
  await disk.close()

  const again = await openDisk(files)
  const groups = await recoverGroups(again, 1, GROUP + 1, () => voters(1, 2, 3))
  const recovered = { configuration: voters(1, 2, 4), commit: 100, manifest, isAlone: false }
  assert.deepEqual(groups[GROUP], recovered)
  assert.deepEqual([again.firstIndex(GROUP), again.lastIndex(GROUP)], [101, 100])
  assert.equal(again.term(GROUP, 100), 4)
  await again.close()
})

test('a log that was cut, and has no manifest for it, is CORRUPTION', async () => {
  const files = new FakeDisk(4096)
  const disk = await openDisk(files)
  disk.setHardState(GROUP, 1, 0)
  disk.append(GROUP, 1, 1, ENTRY_KIND.rows, new Uint8Array(5))
  disk.cut(GROUP, 1, 1)
  await disk.close()
  const again = await openDisk(files)
  const recovering = recoverGroups(again, 1, GROUP + 1, () => voters(1))
  await assert.rejects(recovering, { code: 'CORRUPTION', message: /group 3: no manifest/ })
  await again.close()
})

test('what is committed is known after a restart, a mebibyte behind at most, and at a close', async () => {
  const files = new FakeDisk(4096)
  let disk = await openDisk(files)
  const initial = voters(1, 2, 3)
  const reopened = async (): Promise<number> => {
    await disk.close()
    disk = await openDisk(files)
    const [group] = (await recoverGroups(disk, 1, GROUP + 1, () => initial)).slice(GROUP)
    assert.deepEqual(group.configuration, initial)
    return group.commit
  }
  const entry = (index: number): Entry => {
    return { term: 1, index, kind: ENTRY_KIND.rows, payload: new Uint8Array(400_000) }
  }
  const log = new GroupLog(disk, GROUP, { configuration: initial, commit: 0 }, 1)
  for (let index = 1; index <= 10; index++) {
    log.append(work({ entries: [entry(index)] }))
    log.committed([entry(index)], index)
  }
  assert.equal(await reopened(), 9)
  const next = new GroupLog(disk, GROUP, { configuration: initial, commit: 9 }, 1)
  next.noteCommit(10)
  assert.equal(await reopened(), 10)
})
