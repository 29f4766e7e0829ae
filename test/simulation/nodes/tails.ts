/**
 * The tail objects of all domains, as they come into the bucket: whoever has shipped it, a sequence
 * is one batch for ever.
 */
import { tailOfKey } from '../../../src/codec/bucket-layout.ts'
import { decodeTail, type TailName } from '../../../src/codec/tail.ts'
import { coveringTails } from '../../../src/shared/tail-cover.ts'

export class Tails {
  readonly #names: TailName[] = []
  readonly #batches = new Map<string, Uint8Array>()
  /** What is wrong with one of them; undefined while all is well. */
  defect: string | undefined

  get count(): number {
    return this.#names.length
  }

  /** An object was created. */
  created(key: string, body: Uint8Array): void {
    const name = tailOfKey(key)
    if (name === undefined) return
    this.#names.push(name)
    for (const [i, batch] of decodeTail(body, key).batches.entries()) {
      const place = `${name.domain} ${name.first + i}`
      const known = this.#batches.get(place)
      if (known === undefined) this.#batches.set(place, batch.slice())
      else if (Buffer.compare(known, batch) !== 0) this.defect ??= `${key} has another ${place}`
    }
  }

  /** Up to where a domain's objects go on without a gap after a sequence. */
  reach(domain: string, after: number): number {
    const names = this.#names.filter(name => name.domain === domain && name.last > after)
    return coveringTails(names, after).at(-1)?.last ?? after
  }
}
