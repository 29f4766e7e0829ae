/**
 * What must be in the bucket whatever is collected: of each domain the newest manifest that any node
 * has installed, the one that the pointer names, which a restore would read, and their tables.
 */
import assert from 'node:assert/strict'
import { manifestKey, manifestOfKey, tableKey } from '../../../src/codec/bucket-layout.ts'
import { decodeCommitted } from '../../../src/codec/committed-pointer.ts'
import { decodeManifest, isNewerManifest, type Manifest } from '../../../src/codec/manifest.ts'

const POINTER = /^domain\/([^/]+)\/committed$/

export class BucketGuard {
  readonly #keys = new Set<string>()
  readonly #manifests = new Map<string, Manifest>()
  /** By domain. */
  readonly #newest = new Map<string, Manifest>()
  readonly #pointedAt = new Map<string, Manifest>()
  /** Objects that were collected. */
  collected = 0

  wasPut(key: string, body: Uint8Array): void {
    this.#keys.add(key)
    if (manifestOfKey(key) !== undefined) this.#manifests.set(key, decodeManifest(body, key))
    const domain = POINTER.exec(key)?.[1]
    if (domain === undefined) return
    const committed = decodeCommitted(body, key)
    const name = manifestKey(committed)
    const before = this.#pointedAt.get(domain)
    const isBack = before !== undefined && isNewerManifest(before, committed)
    assert.ok(!isBack, `${key} goes back to ${name}`)
    const manifest = this.#manifests.get(name)
    assert.ok(manifest !== undefined, `${key} names ${name}, which is not in the bucket`)
    this.#pointedAt.set(domain, manifest)
    this.#expectWhole(manifest, key)
  }

  wasDeleted(key: string): void {
    if (!this.#keys.delete(key)) return
    this.collected++
    this.#manifests.delete(key)
    const domain = key.split('/')[1]
    this.#expectWhole(this.#newest.get(domain), 'the newest manifest')
    this.#expectWhole(this.#pointedAt.get(domain), 'the pointer')
  }

  /** A node has it as its version; an older one than another node's may have lost tables. */
  wasInstalled(manifest: Manifest): void {
    const newest = this.#newest.get(manifest.domain)
    if (newest !== undefined && isNewerManifest(newest, manifest)) return
    this.#newest.set(manifest.domain, manifest)
    this.#expectWhole(manifest, 'the manifest that was installed')
  }

  /** Whether it was there once and is there no more. */
  isCollected(key: unknown): boolean {
    return typeof key === 'string' && !this.#keys.has(key)
  }

  #expectWhole(manifest: Manifest | undefined, whose: string): void {
    if (manifest === undefined) return
    for (const name of [manifestKey(manifest), ...manifest.tables.map(tableKey)]) {
      assert.ok(this.#keys.has(name), `${name} is not in the bucket; ${whose} needs it`)
    }
  }
}
