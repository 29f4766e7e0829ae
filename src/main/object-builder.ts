/** Groups extents into objects, one open object a domain, for addObjects and its relatives. */
import { invalidRequest } from '../codec/errors.ts'
import type { NewExtent, NewObject, ObjectId, TopicPartition } from '../shared/api.ts'
import { checkNumber, checkObject } from './requests/checks.ts'
import type { Router } from './router.ts'

interface BuiltObject {
  domain: number
  extents: NewExtent[]
  /** Set by finish(). */
  finished: { footerPosition: number; sizeBytes: number } | undefined
}

export class ObjectBuilder {
  readonly #router: Router
  readonly #preregister: (near: TopicPartition) => Promise<ObjectId[]>
  readonly #objects = new Map<ObjectId, BuiltObject>()
  /** The open object of each domain; a promise while it is being preregistered. */
  readonly #open = new Map<number, Promise<ObjectId>>()

  constructor(router: Router, preregister: (near: TopicPartition) => Promise<ObjectId[]>) {
    this.#router = router
    this.#preregister = preregister
  }

  /** The open object of tp's domain, preregistered when first needed. */
  objectFor(tp: TopicPartition): Promise<ObjectId> {
    const { domain } = this.#router.route(tp, 'topicPartition')
    const open = this.#open.get(domain)
    if (open !== undefined) return open
    const fresh = this.newObjectFor(tp)
    this.#open.set(domain, fresh)
    // What failed may be tried again.
    fresh.catch(() => this.#open.delete(domain))
    return fresh
  }

  /** A fresh object in tp's domain; it does not become the open one. */
  async newObjectFor(tp: TopicPartition): Promise<ObjectId> {
    const { domain } = this.#router.route(tp, 'topicPartition')
    const [id] = await this.#preregister(tp)
    this.#objects.set(id, { domain, extents: [], finished: undefined })
    return id
  }

  /** @throws INVALID_REQUEST when the object is not open here, or of another domain */
  add(objectId: ObjectId, extent: NewExtent): void {
    const object = this.#unfinished(objectId)
    checkObject(extent, 'extent')
    const { domain } = this.#router.route(extent.topicPartition, 'extent.topicPartition')
    if (domain !== object.domain) {
      throw invalidRequest(
        `object ${objectId} is of metastore partition ${object.domain}, the extent of ${domain}`,
      )
    }
    object.extents.push(extent)
  }

  /** Nothing more can be added; if it was its domain's open object, the next one is a fresh one. */
  finish(objectId: ObjectId, object: { footerPosition: number; sizeBytes: number }): void {
    const built = this.#unfinished(objectId)
    checkObject(object, 'object')
    built.finished = {
      footerPosition: checkNumber(object.footerPosition, 'footerPosition'),
      sizeBytes: checkNumber(object.sizeBytes, 'sizeBytes'),
    }
    this.#closeOpen(objectId, built.domain)
  }

  /** Leaves an object out; its preregistration expires by itself. */
  abandon(objectId: ObjectId): void {
    const object = this.#objects.get(objectId)
    if (object === undefined) throw invalidRequest(`object ${objectId} is not of this builder`)
    this.#objects.delete(objectId)
    this.#closeOpen(objectId, object.domain)
  }

  /** Whether there is no finished object. */
  get isEmpty(): boolean {
    return ![...this.#objects.values()].some(({ finished }) => finished !== undefined)
  }

  /** The objects, for a request. @throws INVALID_REQUEST while any is unfinished */
  build(): NewObject[] {
    return [...this.#objects].map(([objectId, { extents, finished }]) => {
      if (finished === undefined) throw invalidRequest(`object ${objectId} is not finished`)
      return { objectId, ...finished, extents: [...extents] }
    })
  }

  #unfinished(objectId: ObjectId): BuiltObject {
    const object = this.#objects.get(objectId)
    if (object === undefined) throw invalidRequest(`object ${objectId} is not of this builder`)
    if (object.finished !== undefined) throw invalidRequest(`object ${objectId} is finished`)
    return object
  }

  #closeOpen(objectId: ObjectId, domain: number): void {
    const open = this.#open.get(domain)
    if (open === undefined) return
    const closeIfSame = (id: ObjectId): void => {
      if (id === objectId && this.#open.get(domain) === open) this.#open.delete(domain)
    }
    // A failure is told to whoever asked for the object.
    open.then(closeIfSame, () => {})
  }
}
