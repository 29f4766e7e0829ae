/** Commits of one object each, with an extent for every partition of a group of one domain. */
import type { Metastore, TopicPartition } from '../src/index.ts'
import type { Answers } from './answers.ts'
import { partitionsByDomain } from './stores.ts'

export const EXTENT_OFFSETS = 100
const EXTENT_BYTES = 4096
const PREREGISTER_MAX = 10_000

/** Partitions of one domain that are committed to together. */
export interface Group {
  domain: number
  partitions: TopicPartition[]
  /** Of the committed objects: the i-th has the i-th extent of each partition. */
  objectIds: string[]
}

export class Committer {
  readonly groups: Group[]
  readonly #metastore: Metastore
  readonly #spareIds: string[][]

  /**
   * Groups of at most `groupSize`; one after the other they are of different domains.
   * @param skipped partitions of each domain that are somebody else's
   */
  constructor(
    metastore: Metastore,
    partitionsPerDomain: number,
    groupSize: number,
    skipped: number = 0,
  ) {
    this.#metastore = metastore
    const domains = partitionsByDomain(partitionsPerDomain, skipped)
    this.#spareIds = domains.map(() => [])
    this.groups = []
    for (let from = 0; from < partitionsPerDomain; from += groupSize) {
      for (const [domain, partitions] of domains.entries()) {
        const own = partitions.slice(from, from + groupSize)
        this.groups.push({ domain, partitions: own, objectIds: [] })
      }
    }
  }

  /** Gets the object ids for `count` commits from now. */
  async preregister(count: number): Promise<void> {
    const wanted = Math.ceil(count / this.#spareIds.length) + this.groups.length
    for (const [domain, spare] of this.#spareIds.entries()) {
      const near = this.groups[domain].partitions[0]
      while (spare.length < wanted) {
        const missing = Math.min(PREREGISTER_MAX, wanted - spare.length)
        spare.push(...(await this.#metastore.preregisterObjects(near, missing)))
      }
    }
  }

  /** The i-th commit of a run; calls are to be made in order, and need not wait for one another. */
  async commit(i: number, answers: Answers): Promise<void> {
    const { domain, partitions, objectIds } = this.groups[i % this.groups.length]
    const objectId = this.#spareIds[domain].pop()
    if (objectId === undefined) throw new Error('there are too few preregistered objects')
    const baseOffset = objectIds.length * EXTENT_OFFSETS
    objectIds.push(objectId)
    const lastOffset = baseOffset + EXTENT_OFFSETS - 1
    const extents = partitions.map((topicPartition, at) => ({
      ...{ topicPartition, baseOffset, lastOffset, maxTimestamp: baseOffset },
      ...{ position: at * EXTENT_BYTES, sizeBytes: EXTENT_BYTES },
    }))
    const footerPosition = extents.length * EXTENT_BYTES
    const terms = [{ term: 1, startOffset: baseOffset }]
    const { correctedNextOffsets } = await this.#metastore.addObjects({
      objects: [{ objectId, footerPosition, sizeBytes: footerPosition + 64, extents }],
      terms: partitions.map(topicPartition => ({ topicPartition, terms })),
    })
    answers.expect(correctedNextOffsets.length, 0)
  }

  /** Every partition ends where the commits have brought it. */
  async checkOffsets(answers: Answers): Promise<void> {
    for (const { partitions, objectIds } of this.groups) {
      for (const topicPartition of partitions) {
        if (objectIds.length === 0) continue
        const { nextOffset } = await this.#metastore.getOffsets(topicPartition)
        answers.expect(nextOffset, objectIds.length * EXTENT_OFFSETS)
      }
    }
  }
}
