/**
 * A process with a member of the cluster in it, which carries out what it is told over IPC, so that
 * clients can be run against any node. Ends when its parent does, and with 3 when the node fails.
 */
import { createHash } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Extent, type Logger, Metastore, MetastoreError } from '../../src/index.ts'
import { JsonLinesLogger } from '../../src/main/cli/json-lines-logger.ts'
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'
import { FaultyObjectStore } from './faulty-object-store.ts'
import type {
  AnswerOf,
  Ask,
  AskOf,
  NodeSettings,
  OperationName,
  Place,
  Told,
} from './node-messages.ts'

const KIND = 'chaos'
const EXIT_FAILED = 3
/** Between two looks whether the node has failed. */
const LOOK_MS = 200
const TURN_MS_MAX = 2_000

const settings = JSON.parse(process.argv[2]) as NodeSettings
const bucket = new FaultyObjectStore(new DirectoryObjectStore(settings.bucketDirectory))
const logger: Logger = new JsonLinesLogger(line => appendFileSync(settings.logFile, line))
let metastore: Metastore
let isClosing = false

/** Values are filled up, so that memtables get full; how far, the value says. */
function filledUp(value: string): string {
  return value.padEnd(100 + (Number(value) % 1_900), '.')
}

function emptied(filled: string): string {
  const value = filled.replace(/\.+$/, '')
  if (filled !== filledUp(value)) throw new Error(`a value was changed: ${filled}`)
  return value
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

const perform: { [N in OperationName]: (ask: AskOf<N>) => Promise<AnswerOf<N>> } = {
  async put({ place, key, value }) {
    await metastore.records(KIND).put(place, key, bytes(filledUp(value)))
    return null
  },
  async get({ place, key }) {
    const value = await metastore.records(KIND).get(place, key)
    return value === undefined ? null : emptied(text(value))
  },
  async preregister({ place }) {
    const [id] = await metastore.preregisterObjects(place, 1)
    return id
  },
  async add({ place, object, baseOffset, requestId }) {
    const terms = [{ topicPartition: place, terms: [{ term: 1, startOffset: baseOffset }] }]
    const { correctedNextOffsets } = await metastore.addObjects(
      { objects: [object], terms },
      { requestId },
    )
    return correctedNextOffsets.at(0)?.nextOffset ?? null
  },
  async nextOffset({ place, consistency }) {
    try {
      return (await metastore.getOffsets(place, { consistency })).nextOffset
    } catch (error) {
      if (error instanceof MetastoreError && error.code === 'MISSING_PARTITION') return 0
      throw error
    }
  },
  async extents({ place }) {
    const found = await extentsOf(place, 'linearizable')
    return found.map(({ objectId, baseOffset, lastOffset }) => [objectId, baseOffset, lastOffset])
  },
  async status() {
    return await metastore.status()
  },
  async transfer({ partition, to }) {
    await metastore.transferLeadership(partition, to)
    return null
  },
  async flush({ partition }) {
    await metastore.flush({ partition })
    return null
  },
  async compact({ partition }) {
    await metastore.compact({ partition })
    return null
  },
  async collectGarbage() {
    await metastore.collectGarbage()
    return null
  },
  async bucket({ weather }) {
    bucket.weather = weather
    return null
  },
  async hash({ place }) {
    const hash = createHash('sha256')
    for await (const row of rowsOf(place)) hash.update(`${row}\n`)
    return hash.digest('hex')
  },
  async close() {
    isClosing = true
    await metastore.close()
    return null
  },
}

async function extentsOf(place: Place, consistency: 'linearizable' | 'stale'): Promise<Extent[]> {
  const found: Extent[] = []
  for (;;) {
    const query = { minOffset: (found.at(-1)?.lastOffset ?? -1) + 1, includeObject: true }
    const { extents, endOfStream } = await metastore.listExtents(place, query, { consistency })
    found.push(...extents)
    if (endOfStream) return found
  }
}

/** All that can be read of a place without a leader. */
async function* rowsOf(place: Place): AsyncIterable<string> {
  const consistency = 'stale'
  const range = {}
  for await (const { key, value } of metastore.records(KIND).scan(place, range, { consistency })) {
    yield `${text(key)}=${text(value)}`
  }
  if ((await perform.nextOffset({ place, consistency })) === 0) return
  yield JSON.stringify(await metastore.getOffsets(place, { consistency }))
  yield JSON.stringify(await metastore.getEndOffsetForTerm(place, 1, { consistency }))
  for (const extent of await extentsOf(place, consistency)) yield JSON.stringify(extent)
}

function tell(told: Told): void {
  // Of a parent that is gone, 'disconnect' tells.
  if (process.connected) process.send?.(told)
}

function errorOf(error: unknown): Extract<Told, { error: unknown }>['error'] {
  if (error instanceof MetastoreError) return { code: error.code, message: error.message }
  return { code: 'BUG', message: error instanceof Error ? `${error.stack}` : String(error) }
}

/**
 * A turn of the event loop that works for seconds is a defect: everybody takes the node for dead. One
 * that was only stopped, or got no processor, has used none.
 */
function watchTurns(): void {
  let [at, cpu] = [performance.now(), process.cpuUsage()]
  setInterval(() => {
    const lateMs = performance.now() - at - LOOK_MS
    const { user, system } = process.cpuUsage(cpu)
    const workedMs = (user + system) / 1000
    if (Math.min(lateMs, workedMs) > TURN_MS_MAX) {
      tell({ event: 'stalled', message: `for ${lateMs} ms, ${workedMs} ms of them at work` })
    }
    at = performance.now()
    cpu = process.cpuUsage()
  }, LOOK_MS).unref()
}

function fail(error: unknown): void {
  tell({ event: 'failed', message: errorOf(error).message })
  logger.error({ err: error }, 'the process ends')
  setImmediate(() => process.exit(EXIT_FAILED))
}

async function watch(): Promise<void> {
  while (!isClosing) {
    try {
      await metastore.status()
    } catch (error) {
      if (!isClosing) fail(error)
      return
    }
    await sleep(LOOK_MS)
  }
}

process.on('message', ({ id, name, ask }: Ask) => {
  const work = perform[name] as (ask: unknown) => Promise<unknown>
  work(ask).then(
    answer => {
      tell({ id, answer })
      if (name === 'close') process.disconnect()
    },
    error => tell({ id, error: errorOf(error) }),
  )
})
process.on('disconnect', () => {
  if (!isClosing) process.exit(EXIT_FAILED)
})
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)

try {
  metastore = await Metastore.open({ ...settings.options, objectStore: bucket, logger })
  tell({ event: 'open' })
  void watch()
  watchTurns()
} catch (error) {
  fail(error)
}
