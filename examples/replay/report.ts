/** What the program prints before and after. */
import { availableParallelism, cpus, totalmem } from 'node:os'
import type { MainFigures } from './main-run.ts'
import type { RunContext } from './run-context.ts'
import { block, count, mebibytes, milliseconds, type Row } from './text.ts'
import { countExtents, objectsOf } from './trace.ts'

export function setUpBlock({ options, trace, workspace }: RunContext): string {
  const { operations } = trace
  const names = new Set(operations.flatMap(objectsOf).map(({ object }) => object))
  const size = [
    `${count(operations.length)} operations`,
    `${count(names.size)} objects`,
    `${count(countExtents(operations))} extents`,
    `${trace.header.partitions} metastore partitions`,
  ]
  const { inFlight, workers = 'default', operationsMax = 'all', seed } = options
  return block('set-up', [
    ['node', `${process.version}, ${process.platform} ${process.arch}`],
    ['machine', `${cpus()[0]?.model ?? 'unknown'}, ${mebibytes(totalmem())}`],
    ['cores', String(availableParallelism())],
    ['trace', options.traceFolder],
    ['size', size.join(', ')],
    [
      'options',
      `in flight ${inFlight}, workers ${workers}, operations ${operationsMax}, seed ${seed}`,
    ],
    ['store', options.store?.url ?? 'in the folder'],
    ['folder', `${workspace.path}${options.isKept ? ' (kept)' : ''}`],
  ])
}

export function resultBlock(
  { trace: { operations } }: RunContext,
  figures: MainFigures,
  recoveryMs: number,
): string {
  const { commits, replayMs } = figures
  const perSecond = (things: number): string => `${count(things / (replayMs / 1000))}/s`
  return block('results', [
    ['commits', perSecond(operations.length)],
    ['extents', perSecond(countExtents(operations))],
    ['commit p50', milliseconds(commits.percentileMs(0.5))],
    ['commit p99', milliseconds(commits.percentileMs(0.99))],
    ...lookupRows(figures),
    ['flushed', mebibytes(figures.flushedBytes)],
    ['reopen', milliseconds(figures.reopenMs)],
    ['restore', milliseconds(figures.restoreMs)],
    ['recovery', milliseconds(recoveryMs)],
  ])
}

function lookupRows({ lookups }: MainFigures): Row[] {
  if (lookups === undefined) return []
  const { onePerSecond, inFlightPerSecond, batchedPerSecond, latencies } = lookups
  return [
    ['lookups, one caller', `${count(onePerSecond)}/s`],
    ['lookups, 64 in flight', `${count(inFlightPerSecond)}/s`],
    ['lookups, batches of 64', `${count(batchedPerSecond)}/s`],
    ['lookup p50', milliseconds(latencies.percentileMs(0.5))],
    ['lookup p99', milliseconds(latencies.percentileMs(0.99))],
  ]
}
