/**
 * What must hold of the nodes after every event:
 *
 *  1. The visible sequence, what took effect, and the installed manifest of a domain never go back
 *     while a node runs.
 *  2. What the newest manifest names that was installed is in the bucket (bucket-guard.ts).
 *  3. A node that leads a domain for writers is the only one in its term.
 *  4. The pointer of a domain in the bucket never goes back, whoever moves it.
 *  5. A log is cut only up to what a manifest covers that the node has installed.
 *  6. Tail objects never disagree, whoever has made them.
 */
import assert from 'node:assert/strict'
import type { Bucket } from './bucket.ts'
import type { NodeStack } from './node-stack.ts'
import type { SimNode } from './sim-node.ts'

interface Seen {
  visible: number
  effect: number
  manifest: unknown
  flushed: number
  cut: number
  rebuilds: number
}

const NOTHING: Seen = { visible: 0, effect: 0, manifest: null, flushed: 0, cut: 0, rebuilds: 0 }

export class Invariants {
  readonly #bucket: Bucket
  readonly #seen = new WeakMap<NodeStack, Seen[]>()
  readonly #leaderOf = new Map<string, number>()
  manifests = 0
  /** Times that a log was cut. */
  cuts = 0
  rebuilds = 0

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** Leaderships that began. */
  get leaderships(): number {
    return this.#leaderOf.size
  }

  observe({ id, running }: SimNode): void {
    if (running === undefined) return
    assert.equal(this.#bucket.tails.defect, undefined)
    const { replication } = running
    const seen = this.#seenOf(running)
    for (const [number, domain] of running.domains.entries()) {
      const of = seen[number]
      const at = `domain ${number} of node ${id}`
      const { visibleSequence, progress, manifest } = domain
      assert.ok(
        visibleSequence >= of.visible,
        `${at}: visible ${of.visible}, then ${visibleSequence}`,
      )
      assert.ok(progress.index >= of.effect, `${at}: effect ${of.effect}, then ${progress.index}`)
      of.visible = visibleSequence
      this.rebuilds += domain.rebuilds - of.rebuilds
      of.rebuilds = domain.rebuilds
      of.effect = progress.index
      if (manifest !== of.manifest && manifest !== null) {
        of.manifest = manifest
        this.manifests++
        assert.ok(manifest.lastSequence >= of.flushed, `${at}: a manifest of before`)
        of.flushed = manifest.lastSequence
        this.#bucket.guard.wasInstalled(manifest)
      }
      const cut = (running.disk?.firstIndex(number) ?? 1) - 1
      if (cut > of.cut) this.cuts++
      of.cut = cut
      if (replication?.isLeading(number)) this.#leads(id, number, replication.node.term(number))
    }
  }

  #leads(id: number, domain: number, term: number): void {
    const name = `${domain} in term ${term}`
    const known = this.#leaderOf.get(name)
    assert.ok(known === undefined || known === id, `nodes ${known} and ${id} lead domain ${name}`)
    this.#leaderOf.set(name, id)
  }

  #seenOf(stack: NodeStack): Seen[] {
    let seen = this.#seen.get(stack)
    if (seen === undefined) {
      seen = stack.domains.map(() => ({ ...NOTHING }))
      this.#seen.set(stack, seen)
    }
    return seen
  }
}
