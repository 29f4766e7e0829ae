/**
 * Answers of writes that carried a request id: stored as rows beside what the write changed, so
 * that a retry gets the first answer. Kept for an hour or for 100 000 ids a domain, whichever is
 * less; the oldest leave in the batches of new ones.
 */
import { conflict } from '../../codec/errors.ts'
import { keyId, ROW_TYPE } from '../../codec/keys.ts'
import { decodeRequest, encodeRequest } from '../../codec/rows.ts'
import { formatUuid } from '../../codec/uuid.ts'
import type { ReadView } from '../../shared/read-view.ts'
import { keys, scratch, type WriteContext } from './write-context.ts'

export const REQUEST_KEPT_MS: number = 60 * 60 * 1000
export const REQUESTS_KEPT_MAX = 100_000
/** At most so many old ids leave with one new one: enough to catch up, little to wait for. */
const EVICTIONS_MAX = 4

interface Entry {
  id: Uint8Array
  acceptedAt: number
}

export class RequestLedger {
  /** Oldest first, from #first on. */
  #entries: Entry[] = []
  #first = 0
  /** What store() will have changed once its batch is inserted. */
  #staged: { first: number; entry: Entry } | undefined

  /** Reads the ids that a domain holds; after recovery. */
  load(view: ReadView): void {
    const entries: Entry[] = []
    const scan = view.cursor(new Uint8Array([ROW_TYPE.request]))
    for (scan.seekFirst(); scan.valid; scan.next()) {
      const key = scan.key()
      const { acceptedAt } = decodeRequest(key, scan.value())
      entries.push({ id: keyId(key).slice(), acceptedAt })
    }
    this.#entries = entries.sort((a, b) => a.acceptedAt - b.acceptedAt)
    this.#first = 0
  }

  /**
   * The stored answer to a request id, if it is known.
   * @throws CONFLICT when the id was another kind of call's
   */
  answerTo(context: WriteContext, id: Uint8Array, callKind: number): Uint8Array | undefined {
    const key = keys.request(id)
    const value = context.view.get(key)
    if (value === undefined) return undefined
    const row = decodeRequest(key, value)
    if (context.now - row.acceptedAt >= REQUEST_KEPT_MS) return undefined
    if (row.callKind !== callKind) {
      throw conflict(`request id ${formatUuid(id)} was used for another kind of call`)
    }
    return row.answer
  }

  /**
   * Appends the answer's row to the batch, and the leave of those that have to go. The ledger
   * itself changes with accept(): the batch may still be refused, or miss a block and be made
   * again.
   */
  store(context: WriteContext, id: Uint8Array, callKind: number, answer: Uint8Array): void {
    const { now } = context
    context.rows.put(
      keys.request(id),
      encodeRequest(scratch, { acceptedAt: now, callKind, answer }),
    )
    let first = this.#first
    for (let i = 0; i < EVICTIONS_MAX && this.#isDue(first, now); i++) {
      const entry = this.#entries[first++]
      // An id that came again after its time has a newer entry; its row must stay.
      const key = keys.request(entry.id)
      const value = context.view.get(key)
      const isOwn = value !== undefined && decodeRequest(key, value).acceptedAt === entry.acceptedAt
      if (isOwn && Buffer.compare(entry.id, id) !== 0) context.rows.delete(keys.request(entry.id))
    }
    this.#staged = { first, entry: { id: id.slice(), acceptedAt: now } }
  }

  /** The batch of the last store() is inserted. */
  accept(): void {
    const staged = this.#staged
    if (staged === undefined) return
    this.#staged = undefined
    this.#first = staged.first
    this.#entries.push(staged.entry)
    if (this.#first > REQUESTS_KEPT_MAX) {
      this.#entries = this.#entries.slice(this.#first)
      this.#first = 0
    }
  }

  /** Whatever was stored and not accepted is forgotten. */
  discard(): void {
    this.#staged = undefined
  }

  #isDue(first: number, now: number): boolean {
    const count = this.#entries.length - first
    if (count === 0) return false
    return count >= REQUESTS_KEPT_MAX || now - this.#entries[first].acceptedAt >= REQUEST_KEPT_MS
  }
}
