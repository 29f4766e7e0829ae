/** Helpers of the log's tests: an open log on a fake disk, and what it holds. */
import assert from 'node:assert/strict'
import { DiskLog, type DiskLogOptions } from '../../../src/main/log/disk-log.ts'
import type { Schedule } from '../../../src/main/log/space-ahead.ts'
import type { FakeDisk } from './fake-disk.ts'

/** Opens a log of 4 KiB segments; a fatal error fails the test unless the options say otherwise. */
export function openLog(files: FakeDisk, options: Partial<DiskLogOptions> = {}): Promise<DiskLog> {
  return DiskLog.open({
    directory: 'log',
    durability: 'fsync',
    segmentBytesMax: 4096,
    onFatal: error => assert.fail(error),
    files,
    ...options,
  })
}

/** The fake disk does one thing a turn. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Every delay is a turn. */
export const nextTurnSchedule: Schedule = task => {
  const immediate = setImmediate(task)
  return () => clearImmediate(immediate)
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** "group/term/index/kind:payload" of every live entry in log order. */
export async function replayed(log: DiskLog): Promise<string[]> {
  const found: string[] = []
  await log.replay(entry => {
    const { group, term, index, kind, payload } = entry
    found.push(`${group}/${term}/${index}/${kind}:${new TextDecoder().decode(payload)}`)
  })
  return found
}

/** Appends `count` entries of 100 bytes and waits until they are durable. */
export async function appendMany(
  log: DiskLog,
  group: number,
  first: number,
  count: number,
): Promise<void> {
  const payload = new Uint8Array(100).fill(120)
  for (let i = 0; i < count; i++) log.append(group, 1, first + i, 0, payload)
  await log.drained()
}
