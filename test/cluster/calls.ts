/** What tests of clusters do over and over: writes that are counted, states that are compared. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Metastore, MetastoreError, type TopicPartition } from '../../src/index.ts'

const topicId = '22222222-2222-2222-2222-222222222222'
/** In all metastore partitions of a cluster that has two, and in most of one that has five. */
export const PLACES: readonly TopicPartition[] = Array.from({ length: 8 }, (_, partition) => ({
  topicId,
  partition,
}))

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 50_000
  while (!(await isDone())) {
    assert.ok(Date.now() < deadline, `it does not come about: ${what}`)
    await sleep(20)
  }
}

/** Who leads each partition, as soon as the node knows of all. */
export async function leadersOf(node: Metastore): Promise<number[]> {
  let leaders: (number | null)[] = []
  await until('all partitions have a leader', async () => {
    leaders = (await node.status()).partitions.map(({ leader }) => leader)
    return !leaders.includes(null)
  })
  return leaders as number[]
}

/** The same, of a cluster of three, once each partition is where it stays as long as all are well. */
export async function settledLeadersOf(node: Metastore): Promise<number[]> {
  let leaders: number[] = []
  await until('every partition is led by its preferred leader', async () => {
    leaders = await leadersOf(node)
    return leaders.every((leader, partition) => leader === 1 + (partition % 3))
  })
  return leaders
}

/**
 * Has the only partition led by `leader`. It is to be the preferred leader (node 1), so that no
 * leadership moves by itself afterwards.
 */
export async function leadBy(node: Metastore, leader: number): Promise<void> {
  await until(`node ${leader} leads`, async () => {
    await node.transferLeadership(0, leader).catch(() => {})
    return (await leadersOf(node))[0] === leader
  })
}

/** Writers that put keys of their own, one after the other, and note what became of each. */
export class Writers {
  readonly acknowledged: Map<string, TopicPartition> = new Map()
  readonly unknown: Map<string, TopicPartition> = new Map()
  readonly refused: Map<string, TopicPartition> = new Map()
  readonly #valueBytes: number
  #running: Promise<void>[] = []
  #isStopping = false
  #count = 0

  constructor(valueBytes = 10) {
    this.#valueBytes = valueBytes
  }

  /** @param nodeOf whom to write to; undefined while the node is closed */
  start(count: number, nodeOf: (writer: number) => Metastore | undefined): void {
    for (let writer = 0; writer < count; writer++) this.#running.push(this.#write(writer, nodeOf))
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
    this.#running = []
    this.#isStopping = false
  }

  /** Resolves when so many more are acknowledged. */
  async more(count: number): Promise<void> {
    const target = this.acknowledged.size + count
    await until(`${count} more writes`, async () => this.acknowledged.size >= target)
  }

  async #write(writer: number, nodeOf: (writer: number) => Metastore | undefined): Promise<void> {
    while (!this.#isStopping) {
      const tp = PLACES[this.#count % PLACES.length]
      const key = `key ${this.#count++} of ${writer}`
      const node = nodeOf(writer)
      try {
        await node?.records('k').put(tp, key, new Uint8Array(this.#valueBytes).fill(7))
        if (node !== undefined) this.acknowledged.set(key, tp)
      } catch (error) {
        assert.ok(error instanceof MetastoreError, String(error))
        if (error.code === 'INDETERMINATE') this.unknown.set(key, tp)
        else this.refused.set(key, tp)
      }
      await sleep(1)
    }
  }

  /** The node has all that was acknowledged, and nothing that was refused. */
  async expectAll(node: Metastore): Promise<void> {
    const records = node.records('k')
    for (const tp of PLACES) {
      const found = new Set<string>()
      for await (const { key } of records.scan(tp)) found.add(new TextDecoder().decode(key))
      const missing = [...this.acknowledged].filter(([key, at]) => at === tp && !found.has(key))
      assert.deepEqual(missing, [], 'acknowledged and lost')
      const revived = [...this.refused].filter(([key, at]) => at === tp && found.has(key))
      assert.deepEqual(revived, [], 'refused and there')
    }
  }
}

/** Every record that the node's own replicas have. */
async function stateOf(node: Metastore): Promise<string[]> {
  const rows: string[] = []
  for (const tp of PLACES) {
    const scan = node.records('k').scan(tp, {}, { consistency: 'stale' })
    for await (const { key, value } of scan) {
      rows.push(`${tp.partition} ${Buffer.from(key)} ${Buffer.from(value).toString('base64')}`)
    }
  }
  return rows
}

/** Once nobody writes, the replicas of all nodes come to the same sequence, and have equal rows. */
export async function expectEqualReplicas(nodes: Iterable<Metastore>): Promise<void> {
  const all = [...nodes]
  await until('all replicas have the same sequence', async () => {
    const statuses = await Promise.all(all.map(node => node.status()))
    const sequences = statuses.map(({ partitions }) => partitions.map(of => of.committedSequence))
    return sequences.every(of => of.join() === sequences[0].join())
  })
  const [first, ...others] = await Promise.all(all.map(stateOf))
  for (const other of others) assert.deepEqual(other, first)
}
