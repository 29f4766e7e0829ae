/** collectGarbage(): the rounds of all domains, wherever they are led, and the sweep. */
import type { GarbageReport } from '../../shared/api.ts'
import type { DomainGarbage } from './garbage-collector.ts'
import { findUnknownObjects, type SweepOptions } from './object-sweep.ts'

export interface CollectionOptions extends SweepOptions {
  /** A round of a domain, by whoever leads it. */
  collect: (domain: number) => Promise<DomainGarbage>
}

export async function collectEverywhere(options: CollectionOptions): Promise<GarbageReport> {
  // First: what the domains collect meanwhile is unknown afterwards.
  const unknown = await findUnknownObjects(options)
  const sum = { tables: 0, manifests: 0, tails: 0, uploads: 0, leases: 0, checkpoints: 0 }
  const rows = { objects: 0, expiredPreregistrations: 0, bytes: 0 }
  const relatives = new Set<string>()
  for (const { number } of options.domains) {
    for (let isDone = false; !isDone; ) {
      const found = await options.collect(number)
      add(sum, found)
      add(rows, found)
      for (const clusterId of found.relatives) relatives.add(clusterId)
      isDone = found.isDone
    }
  }
  return { ...rows, ...sum, ...unknown, relatives: [...relatives].sort() }
}

function add<S extends Record<string, number>>(sum: S, found: Readonly<S>): void {
  for (const name of Object.keys(sum) as (keyof S)[]) {
    sum[name] = (sum[name] + found[name]) as S[keyof S]
  }
}
