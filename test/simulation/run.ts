/**
 * npm run sim -- --from A --count N: runs the seeds A to A + N - 1. The first that fails ends it,
 * with its transcript in a file.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SimulationFailure, simulate } from './simulation.ts'

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
  },
})
const from = wholeNumber('from', values.from)
const count = wholeNumber('count', values.count)

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`--${name} must be a positive whole number, not ${text}`)
}

try {
  const sum = { elections: 0, committed: 0, answered: 0, messages: 0 }
  const startedAt = performance.now()
  for (let seed = from; seed < from + count; seed++) {
    const { elections, committed, answered, messages } = simulate(seed)
    sum.elections += elections
    sum.committed += committed
    sum.answered += answered
    sum.messages += messages
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`${count} seeds from ${from} passed in ${seconds} s:`, JSON.stringify(sum))
} catch (error) {
  if (!(error instanceof SimulationFailure)) throw error
  const file = join(tmpdir(), `waymark-seed-${error.seed}.txt`)
  writeFileSync(file, `${error.transcript.join('\n')}\n${error.message}\n`)
  console.log(error.message, error.cause)
  console.log(`${error.transcript.slice(-40).join('\n')}\nthe whole transcript: ${file}`)
  process.exitCode = 1
}
