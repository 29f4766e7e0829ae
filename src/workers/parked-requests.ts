/**
 * Requests that wait for a part of a table that is neither in memory nor in the local cache. Such a
 * request is put aside with the view it has, a fetch goes to main, and the worker goes on with
 * others; when the bytes are here the request is run again from its beginning.
 *
 * Invariants
 *  1. A request has all that was ever fetched for it until it is answered, so each run gets further
 *     than the one before, whatever the caches keep.
 *  2. A part that is being fetched is not fetched a second time: whoever else needs it waits too.
 *  3. A parked read blocks nothing. A parked write holds back the later requests of its domain, so
 *     that calls take effect in the order they were made.
 */
import type { Snapshot } from '../shared/snapshot.ts'
import type { Carried } from '../shared/tables/carried.ts'
import type { ColdRead, TableHandle } from '../shared/tables/table-handle.ts'

/** What a first miss fetches of a table at least; each further one of the request twice as much. */
const FETCH_BYTES_MIN = 64 * 1024
const FETCH_BYTES_MAX = 1024 * 1024

/** A request that was copied out of the ring. */
export interface ParkedRequest {
  readonly kind: number
  readonly domain: number
  /** How often the domain had begun anew when the request came. */
  readonly resets: number
  readonly call: number
  /** Its arguments. */
  readonly bytes: Uint8Array
  /** Of a read that has begun: what it sees. */
  view: Snapshot | undefined
  readonly carried: Carried
  /** Misses of blocks so far. */
  misses: number
}

/** A part of a table that was asked for: bytes of its file, or its memory when length is 0. */
export interface Fetch {
  readonly id: number
  readonly table: TableHandle
  readonly offset: number
  readonly length: number
  readonly isDamaged: boolean
  readonly waiting: ParkedRequest[]
}

export class ParkedRequests {
  readonly #send: (fetch: Fetch, domain: number) => void
  readonly #fetches = new Map<number, Fetch>()
  #lastId = 0

  /** @param send takes a fetch to main */
  constructor(send: (fetch: Fetch, domain: number) => void) {
    this.#send = send
  }

  get count(): number {
    let count = 0
    for (const { waiting } of this.#fetches.values()) count += waiting.length
    return count
  }

  /** Puts a request aside until what it missed is here. */
  park(request: ParkedRequest, cold: ColdRead): void {
    const wanted = partOf(request, cold)
    const known = this.#underWay(cold, wanted)
    if (known !== undefined) {
      known.waiting.push(request)
      return
    }
    const fetch = { id: ++this.#lastId, table: cold.table, ...wanted, waiting: [request] }
    this.#fetches.set(fetch.id, fetch)
    this.#send(fetch, request.domain)
  }

  /** Ends a fetch: `memory` is what it brought. @returns the requests to run again, in order */
  arrived(id: number, memory: SharedArrayBuffer): ParkedRequest[] {
    const { table, offset, length, waiting } = this.#take(id)
    const name = table.name
    for (const { carried } of waiting) {
      if (length === 0) carried.addMemory(name, memory)
      else carried.addExtent({ name, offset, bytes: new Uint8Array(memory) })
    }
    if (length === 0) table.memory ??= waiting[0].carried.memoryOf(name)
    return waiting
  }

  /** Ends a fetch that failed. @returns the requests to refuse */
  failed(id: number): ParkedRequest[] {
    return this.#take(id).waiting
  }

  #take(id: number): Fetch {
    const fetch = this.#fetches.get(id)
    if (fetch === undefined) throw new Error(`fetch ${id} is not under way`)
    this.#fetches.delete(id)
    return fetch
  }

  #underWay(cold: ColdRead, { offset, length }: Part): Fetch | undefined {
    for (const fetch of this.#fetches.values()) {
      if (fetch.table !== cold.table || fetch.isDamaged !== cold.isDamaged) continue
      if (length === 0 ? fetch.length === 0 : coversStart(fetch, offset)) return fetch
    }
    return undefined
  }
}

type Part = Pick<Fetch, 'offset' | 'length' | 'isDamaged'>

/** The first block of a part is the one that was missed. */
function coversStart(fetch: Fetch, offset: number): boolean {
  return fetch.offset <= offset && offset < fetch.offset + fetch.length
}

function partOf(request: ParkedRequest, { table, block, isDamaged }: ColdRead): Part {
  const memory = table.memory ?? request.carried.memoryOf(table.name)
  if (block < 0 || memory === undefined) return { offset: 0, length: 0, isDamaged }
  const offset = memory.blockOffset(block)
  if (isDamaged) return { offset, length: memory.storedBytes(block), isDamaged }
  const wanted = Math.min(FETCH_BYTES_MAX, FETCH_BYTES_MIN * 2 ** request.misses++)
  let end = block + 1
  while (end < memory.blockCount && memory.blockOffset(end) - offset < wanted) end++
  return { offset, length: memory.blockOffset(end) - offset, isDamaged }
}
