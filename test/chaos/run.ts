/**
 * npm run chaos -- --minutes M --nodes N --replicas R --seed S --runs K: K runs with the seeds from
 * S on. Ends with 1 when one of them fails; what it was is then in a folder that is named.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runChaos } from './chaos-run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    nodes: { type: 'string', default: '3' },
    replicas: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 1_000_000)) },
    runs: { type: 'string', default: '1' },
    quiet: { type: 'boolean', default: false },
  },
})
const nodes = number('nodes', 1, 15)
const runs = number('runs', 1, 1000)
const seed = number('seed', 1, 2 ** 31 - 1)
const hasSmallDisks = canMount()
if (!hasSmallDisks) console.log('no disk will be full: file systems cannot be mounted here')

function number(name: Exclude<keyof typeof values, 'quiet'>, least: number, most: number): number {
  const value = Number(values[name])
  if (value >= least && value <= most) return value
  throw new Error(`--${name} must be a number from ${least} to ${most}, not ${values[name]}`)
}

function canMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'waymark-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' })
    execFileSync('umount', [directory])
    return true
  } catch {
    return false
  } finally {
    rmdirSync(directory)
  }
}

const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupt.abort())

for (let i = 0; i < runs && !interrupt.signal.aborted; i++) {
  const { problems, keptIn, figures } = await runChaos({
    seed: seed + i,
    durationMs: number('minutes', 0.05, 600) * 60_000,
    nodes,
    replicas: Math.min(nodes, number('replicas', 1, 15)),
    partitions: number('partitions', 1, 64),
    electionTimeoutMs: 500,
    hasSmallDisks,
    signal: interrupt.signal,
    say: line => {
      if (!values.quiet) console.log(line)
    },
  })
  console.log(`seed ${seed + i}, ${nodes} nodes: ${JSON.stringify(figures)}`)
  if (problems.length === 0) continue
  console.log(`${problems.length} problems; kept in ${keptIn}\n${problems.join('\n')}`)
  process.exitCode = 1
}
