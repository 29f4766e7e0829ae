/**
 * Goal: whatever crash comes, every entry reported durable is replayed, and what is replayed of a
 * group is a prefix of what was appended to it.
 * Method: random appends, conflicts, cuts, hard states, configurations, flushes, waits, times of a
 * full disk, power cuts and process crashes against a model; the disk keeps a random subset of the
 * unsynced pages and names. A record's write that met a full disk would be fatal, and fail the test.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { LogConfiguration } from '../../../src/codec/segment-header.ts'
import type { DiskLog } from '../../../src/main/log/disk-log.ts'
import { FakeDisk } from './fake-disk.ts'
import { bytesOf, nextTurnSchedule, openLog, replayed } from './log-driver.ts'

const GROUPS = 3

/** A group's log after each ticket that changed it. */
interface State {
  ticket: number
  term: number
  vote: number
  cutIndex: number
  cutTerm: number
  /** "index:text" of the configuration. */
  configuration: string
  /** "term:text" of the entry at cutIndex + 1 + i. */
  entries: string[]
}

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('append'), group: groupId(), size: fc.nat(1200) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('conflict'), group: groupId(), size: fc.nat(8) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('cut'), group: groupId(), size: fc.nat(30) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('vote'), group: groupId(), size: fc.nat(5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('configure'), group: groupId(), size: fc.nat(90) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('flush'), group: groupId(), size: fc.nat(6) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('drain'), group: groupId(), size: fc.nat(3) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('full'), group: groupId(), size: fc.nat(80) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('room'), group: groupId(), size: fc.nat(3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('power'), group: groupId(), size: fc.nat(100) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('process'), group: groupId(), size: fc.nat(3) }),
  },
)

function groupId(): fc.Arbitrary<number> {
  return fc.integer({ min: 1, max: GROUPS })
}

type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never

const NEW_GROUP: State = {
  ticket: 0,
  term: 0,
  vote: 0,
  cutIndex: 0,
  cutTerm: 0,
  configuration: '',
  entries: [],
}

function textOf(configuration: LogConfiguration | undefined): string {
  if (configuration === undefined) return ''
  return `${configuration.index}:${new TextDecoder().decode(configuration.bytes)}`
}

class Model {
  readonly disk: { now: FakeDisk }
  log: DiskLog
  durable = 0
  /** Histories by group; the first state is what the last open found. */
  histories = new Map<number, State[]>()
  serial = 0
  term = 1

  constructor(disk: FakeDisk, log: DiskLog) {
    this.disk = { now: disk }
    this.log = log
    this.watch()
    for (let group = 1; group <= GROUPS; group++) {
      this.histories.set(group, [NEW_GROUP])
    }
  }

  watch(): void {
    this.durable = 0
    this.log.onDurable = ticket => {
      assert.ok(ticket > this.durable)
      this.durable = ticket
    }
  }

  history(group: number): State[] {
    const states = this.histories.get(group)
    assert.ok(states !== undefined)
    return states
  }

  latest(group: number): State {
    const states = this.history(group)
    return states[states.length - 1]
  }

  push(group: number, state: State): void {
    this.history(group).push(state)
  }

  append(group: number, back: number, size: number): void {
    const state = this.latest(group)
    const keep = Math.max(0, state.entries.length - back)
    const text = `${this.serial++}${'x'.repeat(size)}`
    const index = state.cutIndex + keep + 1
    const ticket = this.log.append(group, this.term, index, 0, bytesOf(text))
    const entries = [...state.entries.slice(0, keep), `${this.term}:${text}`]
    this.push(group, { ...state, ticket, entries })
  }

  cut(group: number, by: number): void {
    const state = this.latest(group)
    if (by === 0) return
    const index = state.cutIndex + by
    const entry = state.entries[by - 1]
    const isForeign = by % 7 === 0
    const term = entry === undefined || isForeign ? ++this.term : Number(entry.split(':')[0])
    const ticket = this.log.cut(group, index, term)
    const entries = entry !== undefined && !isForeign ? state.entries.slice(by) : []
    this.push(group, { ...state, ticket, entries, cutIndex: index, cutTerm: term })
  }

  vote(group: number, vote: number): void {
    const term = ++this.term
    const ticket = this.log.setHardState(group, term, vote)
    this.push(group, { ...this.latest(group), ticket, term, vote })
  }

  configure(group: number, size: number): void {
    const index = this.serial++
    const text = 'c'.repeat(size + 1)
    const ticket = this.log.setConfiguration(group, index, bytesOf(text))
    this.push(group, { ...this.latest(group), ticket, configuration: `${index}:${text}` })
  }

  /** From now on the disk has room for so many pages more. */
  fill(pages: number): void {
    const disk = this.disk.now
    disk.capacityBytes = disk.usedBytes + pages * disk.pageBytes
  }

  makeRoom(): void {
    this.disk.now.capacityBytes = Number.POSITIVE_INFINITY
  }

  /** Reopens on what the crash left and compares it with every state that it may show. */
  async reopen(disk: FakeDisk, durability: 'fsync' | 'os'): Promise<void> {
    const wasFull = Number.isFinite(this.disk.now.capacityBytes)
    this.disk.now = disk
    this.log = await openLog(disk, { durability, schedule: nextTurnSchedule })
    if (wasFull) this.fill(0)
    const byGroup = new Map<number, string[]>()
    await this.log.replay(entry => {
      const texts = byGroup.get(entry.group) ?? []
      texts.push(`${entry.term}:${new TextDecoder().decode(entry.payload)}`)
      byGroup.set(entry.group, texts)
    })
    // The records share one log, so one prefix of all tickets must explain every group.
    const least = durability === 'fsync' ? this.durable : 0
    const tickets = [...this.histories.values()].flat().map(state => state.ticket)
    const candidates = [...new Set([least, ...tickets.filter(ticket => ticket > least)])]
    const explains = (upTo: number) =>
      Array.from({ length: GROUPS }, (_, i) => i + 1).every(group => {
        const state = this.history(group).findLast(({ ticket }) => ticket <= upTo)
        const there = this.log.groupState(group)
        assert.ok(state !== undefined)
        const shown = [there?.term, there?.vote, there?.cutIndex, there?.cutTerm].map(x => x ?? 0)
        const wanted = [state.term, state.vote, state.cutIndex, state.cutTerm]
        const entries = byGroup.get(group) ?? []
        const configuration = textOf(there?.configuration)
        return (
          `${shown}|${configuration}|${entries}` ===
          `${wanted}|${state.configuration}|${state.entries}`
        )
      })
    const upTo = candidates.find(explains)
    assert.ok(
      upTo !== undefined,
      `no prefix of the log past ticket ${least} explains what is found`,
    )
    for (let group = 1; group <= GROUPS; group++) {
      const state = this.history(group).findLast(({ ticket }) => ticket <= upTo)
      assert.ok(state !== undefined)
      this.histories.set(group, [{ ...state, ticket: 0 }])
    }
    this.watch()
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

async function run(actions: readonly Action[], seed: number, durability: 'fsync' | 'os') {
  let random = seed
  const chance = (percent: number) => () => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0
    return (random >>> 8) % 100 < percent
  }
  const disk = new FakeDisk()
  const model = new Model(disk, await openLog(disk, { durability, schedule: nextTurnSchedule }))
  const ended: Action = { kind: 'power', group: 1, size: 50 }
  for (const { kind, group, size } of [...actions, ended, ended]) {
    if (kind === 'append') model.append(group, 0, size)
    else if (kind === 'conflict') model.append(group, size, 5)
    else if (kind === 'cut') model.cut(group, size)
    else if (kind === 'vote') model.vote(group, size)
    else if (kind === 'configure') model.configure(group, size)
    else if (kind === 'full') model.fill(size)
    else if (kind === 'room') model.makeRoom()
    else if (kind === 'drain') {
      model.makeRoom()
      await model.log.drained()
    } else if (kind === 'flush') {
      model.log.flush()
      await turns(size)
    } else if (kind === 'power') {
      await model.reopen(model.disk.now.crashPower(chance(size)), durability)
    } else await model.reopen(model.disk.now.crashProcess(), durability)
  }
  model.makeRoom()
  await replayed(model.log)
  await model.log.close()
}

for (const durability of ['fsync', 'os'] as const) {
  test(`after any crash a prefix that holds all that was durable is there ('${durability}')`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 120, size: 'max' }),
        fc.integer({ min: 0, max: 0x7fffffff }),
        (actions, seed) => run(actions, seed, durability),
      ),
      { numRuns: 150, endOnFailure: false },
    )
  })
}
