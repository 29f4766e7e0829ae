/** Which object id stands for which of the trace's object names. */
import type { Metastore, NewObject, TopicPartition } from '../../src/index.ts'
import { forEachInFlight } from './in-flight.ts'
import { objectsOf, type TraceObject, type TraceOperation } from './trace.ts'

/** Name and id. */
export type NamedId = [name: string, id: string]

/** What one call may ask for. */
const IDS_MAX = 10_000
const CALLS_IN_FLIGHT = 64

export class ObjectIds {
  readonly #ids: ReadonlyMap<string, string>
  readonly #names: ReadonlyMap<string, string>

  constructor(entries: readonly NamedId[]) {
    this.#ids = new Map(entries)
    this.#names = new Map(entries.map(([name, id]) => [id, name]))
  }

  /** Preregisters an id for every object of the operations, those near one partition together. */
  static async preregister(
    metastore: Metastore,
    operations: readonly TraceOperation[],
  ): Promise<ObjectIds> {
    const batches = batchesByNear(operations)
    const entries: NamedId[] = []
    await forEachInFlight(batches.length, CALLS_IN_FLIGHT, async index => {
      const { near, names } = batches[index]
      const ids = await metastore.preregisterObjects(near, names.length)
      for (const [place, name] of names.entries()) entries.push([name, ids[place]])
    })
    return new ObjectIds(entries)
  }

  get size(): number {
    return this.#ids.size
  }

  entries(): NamedId[] {
    return [...this.#ids]
  }

  name(id: string): string | undefined {
    return this.#names.get(id)
  }

  /** The trace's objects as the metastore takes them. */
  objects(objects: readonly TraceObject[]): NewObject[] {
    return objects.map(({ object, near: _, ...rest }) => ({ ...rest, objectId: this.#id(object) }))
  }

  #id(name: string): string {
    const id = this.#ids.get(name)
    if (id === undefined) throw new Error(`object ${name} was not preregistered`)
    return id
  }
}

interface Batch {
  near: TopicPartition
  names: string[]
}

function batchesByNear(operations: readonly TraceOperation[]): Batch[] {
  const nears = new Map<string, { near: TopicPartition; names: Set<string> }>()
  for (const { object, near } of operations.flatMap(objectsOf)) {
    const key = `${near.topicId}-${near.partition}`
    const batch = nears.get(key) ?? { near, names: new Set() }
    nears.set(key, batch)
    batch.names.add(object)
  }
  return [...nears.values()].flatMap(({ near, names }) => inPieces(near, [...names]))
}

function inPieces(near: TopicPartition, names: string[]): Batch[] {
  if (names.length <= IDS_MAX) return [{ near, names }]
  return [{ near, names: names.slice(0, IDS_MAX) }, ...inPieces(near, names.slice(IDS_MAX))]
}
