/**
 * Goal: the benches keep working, and count only answers that are right. Method: the compiled
 * program runs in its small mode; its figures are looked at for what was run and checked, never
 * for how fast it was.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Answers } from '../bench/answers.ts'
import { Latencies } from '../bench/latencies.ts'
import { type Case, type Figure, measure } from '../bench/measure.ts'
import { EMBEDDED_PEER_NAMES, ETCD } from '../bench/peers/peers.ts'
import type { SetUp } from '../bench/report.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../bench/all.js', import.meta.url))
/** Workloads of each bench, and how many cases each has. */
const CASES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  reads: {
    ...{ 'lookup-memtable': 4, 'lookup-table': 4, get: 4, miss: 4, scan10: 2, scan100: 2 },
  },
  cold: { 'lookup-cold': 5 },
  replica: { 'replica-cold-start': 2 },
  load: { load: 4 },
  flush: { flush: 4, compact: 2, recover: 1 },
  commits: { put: 6, commit: 6 },
  tail: { tail: 4 },
  raft: { 'raft-commit': 1, 'raft-tick': 2 },
  cluster: { 'cluster-commit': 4, 'cluster-read': 4 },
  failover: { failover: 1 },
  disaster: { disaster: 2 },
  restore: { restore: 3 },
  bucket: { bucket: 12 },
  'bucket-commits': { 'bucket-commits': 1 },
  memtable: { 'memtable-insert': 6, 'memtable-gets': 3, 'memtable-seeks': 3 },
  network: { network: 3 },
}

interface Results {
  setUp: SetUp
  figures: Figure[]
}

let directory: string

async function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const runs = join(directory, 'runs')
  // The server of S3 has a test of its own: bench-s3.test.ts.
  const env = { ...process.env, WAYMARK_TEST_S3: undefined }
  const child = spawn(process.execPath, [PROGRAM, '--directory', runs, ...args], { env })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, stdout, stderr }
}

async function runForResults(args: string[]): Promise<Results & { stdout: string }> {
  const jsonPath = join(directory, 'results.json')
  const { code, stdout, stderr } = await run(['--small', '--json', jsonPath, ...args])
  assert.equal(code, 0, stdout + stderr)
  assert.equal(stderr, '')
  return { ...(JSON.parse(readFileSync(jsonPath, 'utf8')) as Results), stdout }
}

function casesOf(figures: readonly Figure[]): Record<string, Record<string, number>> {
  const cases: Record<string, Record<string, number>> = {}
  for (const { bench, workload } of figures) {
    cases[bench] ??= {}
    cases[bench][workload] = (cases[bench][workload] ?? 0) + 1
  }
  return cases
}

suite('the bench program', () => {
  before(async () => {
    directory = await temporaryDirectory()
  })

  after(async () => {
    await rm(directory, { recursive: true })
  })

  test('the small mode runs every case, checks answers and leaves nothing behind', async () => {
    const { setUp, figures, stdout } = await runForResults(['--peers', 'none'])
    assert.ok(setUp.isSmall)
    assert.deepEqual(
      setUp.missing.map(({ name }) => name),
      ['S3'],
    )
    assert.equal(setUp.node, process.version)
    assert.deepEqual(casesOf(figures), CASES)
    assert.equal(new Set(figures.map(f => `${f.workload} ${f.variant}`)).size, figures.length)
    for (const figure of figures) {
      const { workload, variant, rounds, checked, hash, min, median, max } = figure
      const name = `${workload} ${variant}`
      assert.equal(rounds, 1, name)
      assert.ok(checked > 0, name)
      assert.match(hash, /^[0-9a-f]{8}$/, name)
      assert.ok(min > 0 && min <= median && median <= max && Number.isFinite(max), name)
      assert.ok(stdout.includes(`${variant} `), name)
    }
    assert.deepEqual(readdirSync(join(directory, 'runs')), [])
  })

  test('--only runs one bench, and both threads read the same from a memtable', async () => {
    const { figures } = await runForResults(['--only', 'memtable', '--rounds', '2'])
    assert.deepEqual(casesOf(figures), { memtable: CASES.memtable })
    const isAlone = /owner$|owner idle$/
    const alone = figures.filter(({ variant }) => isAlone.test(variant))
    assert.equal(alone.length, 4)
    assert.equal(new Set(alone.map(({ hash }) => hash)).size, 1)
    for (const { rounds } of figures) assert.equal(rounds, 2)
  })

  test('each peer is measured beside waymark, or said to be missing', async () => {
    const htmlPath = join(directory, 'report.html')
    const peers = EMBEDDED_PEER_NAMES.join()
    const args = ['--only', 'get,scan10', '--peers', peers, '--html', htmlPath]
    const { setUp, figures, stdout } = await runForResults(args)
    const present = setUp.stores.map(({ name }) => name)
    const missing = setUp.missing.map(({ name }) => name)
    assert.deepEqual([...present, ...missing].sort(), ['waymark', ...EMBEDDED_PEER_NAMES].sort())
    assert.deepEqual(new Set(figures.map(({ store }) => store)), new Set(present))
    for (const name of missing) assert.match(stdout, new RegExp(`${name} +NOT MEASURED: .`))
    for (const { ratio } of figures) assert.equal(ratio !== undefined, present.length > 1)
    const html = readFileSync(htmlPath, 'utf8')
    for (const { variant } of figures) assert.ok(html.includes(variant), variant)
    assert.doesNotMatch(html, /https?:|NaN|undefined/)
  })

  test('etcd is measured beside a cluster, or said to be missing', async () => {
    const args = ['--only', 'cluster-read', '--peers', ETCD]
    const { setUp, figures, stdout } = await runForResults(args)
    const isPresent = setUp.stores.some(({ name }) => name === ETCD)
    if (!isPresent) assert.match(stdout, /etcd +NOT MEASURED: ./)
    assert.equal(figures.filter(({ store }) => store === ETCD).length, isPresent ? 2 : 0)
    for (const { checked, ratio } of figures) {
      assert.ok(checked > 0)
      assert.equal(ratio !== undefined, isPresent)
    }
  })

  test('what is lost with all nodes is younger than what was shipped or flushed', async () => {
    // The bench itself compares: a commit that is missing and was shipped before is a wrong answer.
    const { figures } = await runForResults(['--only', 'disaster', '--peers', 'none'])
    for (const { variant, checked, details = {} } of figures) {
      assert.ok(checked > 0, variant)
      const kinds = ['ms lost', 'commits lost', 'ms that status told', 'restore ms']
      for (const kind of kinds) assert.ok(Number.isFinite(details[kind]), `${variant}: ${kind}`)
    }
  })

  test('an option that is wrong is named', async () => {
    const unknown = await run(['--only', 'everything'])
    assert.equal(unknown.code, 1)
    assert.match(unknown.stderr, /--only must be of memtable, .*, not 'everything'/)
    const rounds = await run(['--rounds', '0'])
    assert.match(rounds.stderr, /--rounds must be an integer from 1 to 100, not '0'/)
  })
})

suite('a measurement', () => {
  test('cases take turns, and ratios are to the best peer in the same round', async () => {
    const turns: string[] = []
    const answers = new Answers()
    const case_ = (store: string, elapsedMs: readonly number[]): Case => ({
      ...{ workload: 'w', store, variant: 'v', unit: 'things' },
      run: round => {
        turns.push(store)
        return { operations: 100, elapsedMs: elapsedMs[round], answers }
      },
    })
    const figures = await measure('b', 3, [
      case_('waymark', [10, 20, 40]),
      case_('fast', [20, 40, 80]),
      case_('slow', [40, 80, 160]),
    ])
    const round = ['waymark', 'fast', 'slow']
    assert.deepEqual(turns, [...round, ...round, ...round])
    const ratios = figures.map(({ ratio }) => ratio)
    assert.deepEqual(ratios, [2, 1, 0.5])
  })

  test('of what is counted besides the median is told, or the greatest', async () => {
    const answers = new Answers()
    const [{ details }] = await measure('b', 3, [
      {
        ...{ workload: 'w', variant: 'v', unit: 'things' },
        run: round => ({
          ...{ operations: 1, elapsedMs: 1, answers },
          details: { usual: [1, 9, 2][round] },
          maxima: { worst: [1, 9, 2][round] },
        }),
      },
    ])
    assert.deepEqual(details, { usual: 2, worst: 9 })
  })

  const common = { workload: 'w', variant: 'v', unit: 'things' }

  test('a wrong answer ends it', async () => {
    const run = (): never => {
      new Answers().expect(1, 2)
      throw new Error('not reached')
    }
    await assert.rejects(measure('b', 3, [{ ...common, run }]), /a wrong answer: 1 instead of 2/)
  })

  test('rates are those of the rounds, whatever surrounds them', async () => {
    const steps: string[] = []
    const latencies = new Latencies()
    for (const elapsedMs of [1, 2, 3]) latencies.record(elapsedMs)
    const answers = new Answers()
    answers.expect(7, 7)
    const [figure] = await measure('b', 3, [
      {
        ...{ ...common, operationBytes: 1e6 },
        prepare: round => void steps.push(`prepare ${round}`),
        run: round => {
          steps.push(`run ${round}`)
          return { operations: 10, elapsedMs: [10, 100, 20][round], answers, latencies }
        },
        finish: round => void steps.push(`finish ${round}`),
      },
    ])
    const expected = [0, 1, 2].flatMap(i => [`prepare ${i}`, `run ${i}`, `finish ${i}`])
    assert.deepEqual(steps, expected)
    const { hash, ...numbers } = figure
    assert.equal(hash, answers.hash.toString(16).padStart(8, '0'))
    assert.deepEqual(numbers, {
      ...{ ...common, store: 'waymark', bench: 'b', rounds: 3, median: 500, min: 100, max: 1000 },
      ...{ medianMbPerSecond: 500, roundMs: 20, p50Us: 2000, p99Us: 3000, checked: 3 },
    })
  })
})
