/**
 * npm run sim -- [--nodes] --from A --count N: runs the seeds A to A + N - 1, of the Raft core or of
 * whole nodes. The first that fails ends it, with its transcript in a file.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SimulationFailure } from './failure.ts'
import { simulateNodes } from './nodes/simulation.ts'
import { simulate } from './simulation.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'boolean', default: false },
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
  const sum: Record<string, number> = {}
  const startedAt = performance.now()
  for (let seed = from; seed < from + count; seed++) {
    const outcome = values.nodes ? await simulateNodes(seed) : simulate(seed)
    for (const [name, value] of Object.entries(outcome)) sum[name] = (sum[name] ?? 0) + value
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
