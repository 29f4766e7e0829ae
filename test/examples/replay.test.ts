/**
 * Goal: the replay example tells right from wrong. Method: the compiled program is run on the
 * project's small trace as it is, in part, with wrong answers written into it, and interrupted; and
 * its search for acknowledged operations is shown a metastore that lacks one.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { Mismatches } from '../../examples/replay/mismatches.ts'
import { ObjectIds } from '../../examples/replay/object-ids.ts'
import { replay } from '../../examples/replay/replaying.ts'
import { checkEffects } from '../../examples/replay/survival.ts'
import {
  isRefused,
  objectsOf,
  readAnswers,
  readTrace,
  type TraceOperation,
} from '../../examples/replay/trace.ts'
import { Metastore } from '../../src/index.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../../examples/replay/replay.js', import.meta.url))
/** From the folder of compiled files, which lies in the project root. */
const TRACE = fileURLToPath(new URL('../../../examples/replay/data', import.meta.url))
const IN_FLIGHT = 64

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

let directory: string

beforeEach(async () => {
  directory = await temporaryDirectory()
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

/** @param interruptAt text on stdout upon which the program gets SIGINT */
async function run(args: string[], interruptAt?: string): Promise<Ended> {
  const runs = join(directory, 'runs')
  const child = spawn(process.execPath, [PROGRAM, '--directory', runs, ...args])
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    if (interruptAt !== undefined && stdout.includes(interruptAt)) child.kill('SIGINT')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  // The pipes close when the last process that has them is gone, the program's own child included.
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split('\n').at(-1)
}

function writeTrace(folder: string, operations: readonly unknown[], answers: unknown): void {
  const { header } = readTrace(TRACE)
  const lines = [header, ...operations].map(value => JSON.stringify(value))
  writeFileSync(join(folder, 'commits.ndjson.gz'), gzipSync(lines.join('\n')))
  writeFileSync(join(folder, 'commits.answers.json.gz'), gzipSync(JSON.stringify(answers)))
}

suite('the replay example', () => {
  test('the small trace is answered right before and after reopening, crash and restore', async () => {
    const { code, stdout, stderr } = await run(['--trace', TRACE])
    assert.equal(code, 0, stdout + stderr)
    assert.equal(lastLine(stdout), 'all answers right')
    for (const line of [
      'answers before the flush: right',
      'answers after the flush: right',
      'answers after the reopening: right',
      'answers after the restore: right',
      'what was acknowledged: all there',
      'answers after the crash: right',
    ]) {
      assert.ok(stdout.includes(line), line)
    }
    assert.deepEqual(readdirSync(join(directory, 'runs')), [])
  })

  test('a part of the trace is answered right, and the folder is kept when asked', async () => {
    const args = ['--trace', TRACE, '--operations', '200', '--in-flight', '20', '--keep', '--quiet']
    const { code, stdout, stderr } = await run(args)
    assert.equal(code, 0, stdout + stderr)
    assert.equal(lastLine(stdout), 'all answers right')
    assert.equal(stderr, '')
    assert.equal(readdirSync(join(directory, 'runs')).length, 1)
  })

  test('a wrong answer to an operation, a query or a state is named and fails the run', async () => {
    const operations: TraceOperation[] = readTrace(TRACE).operations
    const answers = readAnswers(TRACE)
    const add = operations.findIndex(({ op }, index) => index >= 40 && op === 'add')
    operations[add].expect = { correctedNextOffsets: ['wrong'] }
    answers.queries[6].answer = 'wrong'
    answers.partitions[0].extentCount++
    writeTrace(directory, operations, answers)
    const { code, stdout } = await run(['--trace', directory])
    assert.equal(code, 1)
    assert.match(
      stdout,
      new RegExp(`^replay: operation ${add + 1} \\(add\\): expected .*wrong`, 'm'),
    )
    assert.match(stdout, /^before the flush: query 7 .*: expected "wrong", got /m)
    const { topicPartition: tp } = answers.partitions[0]
    assert.ok(stdout.includes(`before the flush: partition ${tp.topicId}-${tp.partition}: `))
    assert.ok(!stdout.includes('all answers right'))
  })

  test('an interrupt ends the child process and removes the folder', async () => {
    const args = ['--trace', TRACE, '--operations', '400', '--quiet']
    const { code } = await run(args, 'a child process replays')
    assert.equal(code, 130)
    assert.deepEqual(readdirSync(join(directory, 'runs')), [])
  })

  test('an option out of its range is named', async () => {
    const { code, stderr } = await run(['--in-flight', '0'])
    assert.equal(code, 1)
    assert.match(stderr, /--in-flight must be an integer from 1 to 1024, not '0'/)
  })
})

suite('the search for the effects of acknowledged operations', () => {
  const { header, operations } = readTrace(TRACE)

  for (const op of ['add', 'replace', 'compact', 'setStartOffset', 'removeTopics'] as const) {
    test(`a lost ${op} is found, and nothing else is`, async () => {
      const lost = operations.findIndex(
        (operation, index) => index > 100 && operation.op === op && hasEffect(operation, index),
      )
      assert.ok(lost > 0)
      const sent = operations.slice(0, lost)
      await using metastore = await Metastore.open({
        dataDir: join(directory, 'data'),
        objectStore: `memory:lost-${op}`,
        partitions: header.partitions,
        durability: 'os',
      })
      const ids = await ObjectIds.preregister(metastore, operations)
      const found = new Mismatches()
      const common = { metastore, ids, inFlight: IN_FLIGHT, mismatches: found }
      await replay({ ...common, operations: sent, part: 'replay' }, 0, () => {})
      const search = { ...common, operations, calledEnd: lost + 1 }
      await checkEffects({ ...search, acknowledged: [...sent.keys()] })
      assert.deepEqual(found.lines(), [])
      await checkEffects({ ...search, acknowledged: [lost] })
      assert.equal(found.count, 1)
      assert.match(found.lines()[0], new RegExp(`effect of operation ${lost + 1} \\(${op}\\)`))
    })
  }

  function hasEffect(operation: TraceOperation, index: number): boolean {
    if (isRefused(operation)) return false
    if (operation.op === 'setStartOffset') return operation.offset > 0
    if (operation.op !== 'removeTopics') return true
    const earlier = operations.slice(0, index).flatMap(objectsOf)
    return earlier.some(({ near }) => operation.topicIds.includes(near.topicId))
  }
})
