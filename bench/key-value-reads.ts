/** Cases of reads through the stores' own calls, one call at a time. */
import { getU32be } from '../src/codec/keys.ts'
import { Answers } from './answers.ts'
import { type BenchContext, sized } from './bench-context.ts'
import { Latencies } from './latencies.ts'
import type { LoadedStores } from './loaded-stores.ts'
import type { Case, Round } from './measure.ts'
import type { Call, Scan, Value } from './peers/key-value-store.ts'
import { Random } from './random.ts'
import type { Rows } from './rows.ts'

const SEED = 2_463_534_242
/** Extents have 100 offsets: this asks for one in the middle. */
const OFFSETS_BEFORE = 50
/** Reading a clock takes as long as some of the calls, so only some are timed. */
const TIMED_EVERY = 16
const NOT_FOUND = 0xffff_ffff
const UNITS: Readonly<Record<string, string>> = {
  'lookup-memtable': 'lookups',
  'lookup-table': 'lookups',
  get: 'gets',
  miss: 'misses',
}

interface Query {
  key: Buffer
  /** What the answer is to be. */
  row: number
}

export class KeyValueReads {
  readonly #context: BenchContext
  readonly #rows: Rows
  readonly #stores: LoadedStores

  constructor(context: BenchContext, rows: Rows, stores: LoadedStores) {
    this.#context = context
    this.#rows = rows
    this.#stores = stores
  }

  seeks(workload: string): Case[] {
    const queries = this.#queries(row => ({ key: this.#rows.keyBefore(row, OFFSETS_BEFORE), row }))
    return this.#stores
      .entries()
      .flatMap(({ name, store }) =>
        store.seeks().map(seek => this.#readCase(workload, name, seek, seek.variant, queries)),
      )
  }

  gets(state: string): Case[] {
    return this.#gets(
      'get',
      state,
      this.#queries(row => ({ key: this.#rows.key(row), row })),
    )
  }

  misses(state: string): Case[] {
    const absent = (row: number): Query => ({
      ...{ key: this.#rows.keyBefore(row, OFFSETS_BEFORE), row: NOT_FOUND },
    })
    return this.#gets('miss', state, this.#queries(absent))
  }

  #gets(workload: string, state: string, queries: readonly Query[]): Case[] {
    return this.#stores
      .entries()
      .flatMap(({ name, store }) =>
        store
          .gets()
          .map(get => this.#readCase(workload, name, get, `${get.variant}, ${state}`, queries)),
      )
  }

  scans(state: string, workload: string, limit: number): Case[] {
    const last = limit - 1
    const queries = this.#queries(
      row => ({ key: this.#rows.key(row), row: row + last }),
      this.#rows.count - last,
    )
    return this.#stores
      .entries()
      .flatMap(({ name, store }) =>
        store.scans().map(scan => this.#scanCase(workload, name, scan, state, limit, queries)),
      )
  }

  #scanCase(
    workload: string,
    store: string,
    scan: Scan,
    state: string,
    limit: number,
    queries: readonly Query[],
  ): Case {
    const lastOf = ({ rows, last }: { rows: number; last: Value }): Value =>
      rows === limit ? last : undefined
    const { variant } = scan
    const call: Call<[key: Buffer], Value> =
      'now' in scan
        ? { variant, now: key => lastOf(scan.now(key, limit)) }
        : { variant, later: async key => lastOf(await scan.later(key, limit)) }
    return this.#readCase(workload, store, call, `${variant}, ${state}`, queries, limit)
  }

  #readCase(
    workload: string,
    store: string,
    call: Call<[key: Buffer], Value>,
    variant: string,
    queries: readonly Query[],
    rowsACall = 1,
  ): Case {
    const calls = Math.ceil(queries.length / ('now' in call ? 1 : 4) / Math.sqrt(rowsACall))
    const asked = queries.slice(0, calls)
    const run = 'now' in call ? () => readNow(call.now, asked) : () => readLater(call.later, asked)
    return { workload, store, variant, unit: UNITS[workload] ?? 'scans', run }
  }

  /** Of random rows below `rows`; the same ones every time. */
  #queries(queryOf: (row: number) => Query, rows: number = this.#rows.count): Query[] {
    const random = new Random(SEED)
    const count = sized(this.#context, 100_000, 400)
    return Array.from({ length: count }, () => queryOf(random.below(rows)))
  }
}

function readNow(call: (key: Buffer) => Value, queries: readonly Query[]): Round {
  const answers = new Answers()
  const latencies = new Latencies()
  const startedAt = performance.now()
  for (let i = 0; i < queries.length; i++) {
    const { key, row } = queries[i]
    if (i % TIMED_EVERY === 0) {
      const calledAt = performance.now()
      const value = call(key)
      latencies.record(performance.now() - calledAt)
      answers.expect(numberIn(value), row)
    } else {
      answers.expect(numberIn(call(key)), row)
    }
  }
  const elapsedMs = performance.now() - startedAt
  return { operations: queries.length, elapsedMs, answers, latencies }
}

async function readLater(
  call: (key: Buffer) => Promise<Value>,
  queries: readonly Query[],
): Promise<Round> {
  const answers = new Answers()
  const latencies = new Latencies()
  const startedAt = performance.now()
  for (let i = 0; i < queries.length; i++) {
    const { key, row } = queries[i]
    if (i % TIMED_EVERY === 0) {
      const calledAt = performance.now()
      const value = await call(key)
      latencies.record(performance.now() - calledAt)
      answers.expect(numberIn(value), row)
    } else {
      answers.expect(numberIn(await call(key)), row)
    }
  }
  const elapsedMs = performance.now() - startedAt
  return { operations: queries.length, elapsedMs, answers, latencies }
}

/** The number of the row whose value this is. */
function numberIn(value: Value | null): number {
  return value === undefined || value === null ? NOT_FOUND : getU32be(value, 0)
}
