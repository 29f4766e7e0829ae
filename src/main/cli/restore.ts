/**
 * `waymark restore`: makes a new cluster from what another one has in the bucket, in the dataDir of
 * a config for `waymark serve`, and ends. The report goes to stdout as JSON, logs to stderr.
 */
import { invalidRequest, MetastoreError } from '../../codec/errors.ts'
import type { RestorePoint } from '../../shared/api.ts'
import { Metastore } from '../metastore.ts'
import { JsonLinesLogger } from './json-lines-logger.ts'
import { EXIT_CODE } from './serve.ts'
import { readServeConfig } from './serve-config.ts'

export interface RestoreArguments {
  readonly config: string
  readonly from: string
  readonly checkpoint?: string
  readonly timestamp?: string
  readonly partial?: boolean
}

/** Resolves with the exit code. */
export async function restore(given: RestoreArguments): Promise<number> {
  const logger = new JsonLinesLogger(line => process.stderr.write(line))
  try {
    const { options } = readServeConfig(given.config)
    const from = { clusterId: given.from, at: pointOf(given), partial: given.partial === true }
    const metastore = await Metastore.restore({ ...options, logger, from })
    await metastore.close()
    process.stdout.write(`${JSON.stringify(metastore.restoreReport, undefined, 2)}\n`)
    return EXIT_CODE.ended
  } catch (error) {
    logger.error({ err: error }, 'nothing was restored')
    const isWrongUse = error instanceof MetastoreError && error.code === 'INVALID_REQUEST'
    return isWrongUse ? EXIT_CODE.wrongUse : EXIT_CODE.failed
  }
}

function pointOf({ checkpoint, timestamp }: RestoreArguments): RestorePoint {
  if (checkpoint !== undefined && timestamp !== undefined) {
    throw invalidRequest('--checkpoint and --timestamp are both given; one is enough')
  }
  if (checkpoint !== undefined) return { checkpoint }
  return timestamp === undefined ? 'latest' : { timestamp: millisecondsOf(timestamp) }
}

function millisecondsOf(text: string): number {
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(time) && time >= 0) return time
  throw invalidRequest(`--timestamp must be milliseconds since the epoch or ISO 8601, not ${text}`)
}
