/**
 * `waymark serve`: a member of a cluster as a process of its own, from its config to its exit code.
 * Signals end it in order; a failure that it does not survive ends it with an error, so that
 * whatever supervises it starts it again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MetastoreError } from '../../codec/errors.ts'
import type { Logger } from '../logger.ts'
import { Metastore } from '../metastore.ts'
import { HealthServer } from './health-server.ts'
import { JsonLinesLogger } from './json-lines-logger.ts'
import { readServeConfig, type ServeConfig } from './serve-config.ts'

export const EXIT_CODE = { ended: 0, failed: 1, wrongUse: 2 } as const

/** Between two looks whether the metastore still works. */
const LOOK_MS = 500

/** Resolves with the exit code when a signal or a failure has ended it. */
export async function serve(configFile: string): Promise<number> {
  const logger = new JsonLinesLogger(line => process.stdout.write(line))
  const stop = firstSignal()
  try {
    await run(readServeConfig(configFile), logger, stop)
    return EXIT_CODE.ended
  } catch (error) {
    logger.error({ err: error }, 'ended by a failure')
    const isConfig = error instanceof MetastoreError && error.code === 'INVALID_REQUEST'
    return isConfig ? EXIT_CODE.wrongUse : EXIT_CODE.failed
  }
}

async function run(config: ServeConfig, logger: Logger, stop: Promise<string>): Promise<void> {
  let metastore: Metastore | undefined
  const { health } = config
  const server = health && (await HealthServer.listen(health, () => metastore))
  if (server !== undefined) logger.info({ port: server.port }, 'health endpoint listens')
  const opening = Metastore.open({ ...config.options, logger })
  // What is not open yet has answered nobody, and its disk is safe against crashes.
  const ended = await Promise.race([opening, stop])
  if (typeof ended === 'string') {
    logger.info({ signal: ended }, 'ended before it was open')
    return
  }
  metastore = ended
  try {
    logger.info({ clusterId: metastore.clusterId }, 'open')
    const signal = await Promise.race([stop, failureOf(metastore)])
    logger.info({ signal }, 'closing')
  } finally {
    await metastore.close()
    await server?.close()
  }
  logger.info({}, 'closed')
}

function firstSignal(): Promise<string> {
  return new Promise(resolve => {
    // A second one ends the process at once.
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, resolve)
  })
}

/** Rejects when the metastore cannot go on. */
async function failureOf(metastore: Metastore): Promise<never> {
  for (;;) {
    await metastore.status()
    await sleep(LOOK_MS)
  }
}
