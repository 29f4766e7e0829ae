/**
 * The log of a restored cluster: of each domain its first manifest, and behind it the batches of
 * the tail, as if they had just been written. It is durable when this ends.
 */
import { encodeManifest, type Manifest } from '../../codec/manifest.ts'
import { setBatchDomain } from '../../codec/row-batch.ts'
import { uuidBytes } from '../../codec/uuid.ts'
import { DiskLog } from '../log/disk-log.ts'
import type { Logger } from '../logger.ts'
import { ENTRY_KIND } from '../replication/replicated-log.ts'
import type { TailWalk } from './tail-walk.ts'

export interface RestoredGroup {
  /** UUID of the new domain. */
  readonly domain: string
  /** Greater than that of anything that is used. */
  readonly epoch: number
  readonly manifest: Manifest | null
  readonly tail: TailWalk
}

export interface RestoreLogOptions {
  directory: string
  durability: 'fsync' | 'os'
  logger: Logger
}

/**
 * @param groups by number; one after the other, with a few tail objects in memory at a time
 * @throws what a walk throws; the log is of no use then
 */
export async function writeRestoredLog(
  groups: readonly RestoredGroup[],
  { directory, durability, logger }: RestoreLogOptions,
): Promise<void> {
  const log = await DiskLog.open({
    directory,
    durability,
    logger,
    onFatal: error => logger.error({ err: error }, 'the log failed during a restore'),
  })
  try {
    for (const [number, group] of groups.entries()) await writeGroup(log, number, group)
    log.flush()
    await log.drained()
  } finally {
    await log.close()
  }
}

async function writeGroup(
  log: DiskLog,
  number: number,
  { domain, epoch, manifest, tail }: RestoredGroup,
): Promise<void> {
  let index = 0
  const append = (kind: number, payload: Uint8Array): void => {
    if (index === 0) log.setHardState(number, epoch, 0)
    log.append(number, epoch, ++index, kind, payload)
  }
  if (manifest !== null) append(ENTRY_KIND.manifest, encodeManifest(manifest))
  const uuid = uuidBytes(domain)
  for (let next = await tail.next(); next !== undefined; next = await tail.next()) {
    for (const batch of next) {
      // A batch of another domain is refused by the worker.
      setBatchDomain(batch, uuid)
      append(ENTRY_KIND.rows, batch)
    }
    log.flush()
    await log.drained()
  }
}
