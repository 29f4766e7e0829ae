/**
 * Says in the bucket which domains a restored cluster descends from, before there is a cluster:
 * whoever sees the cluster knows whose objects it may refer to (docs/garbage.md).
 */
import { originKey } from '../../codec/bucket-layout.ts'
import { decodeOrigin, encodeOrigin } from '../../codec/origin-file.ts'
import type { IoRunner } from '../io-pool.ts'
import { inParallel } from '../slots.ts'

const AT_ONCE = 16

export interface RestoredDomain {
  /** UUID of the new domain. */
  domain: string
  /** UUID of the domain that it goes on from. */
  ancestor: string
  /** The last that was adopted from the ancestor, its tail included; 0 for nothing. */
  sequence: number
}

export async function putOrigins(io: IoRunner, restored: readonly RestoredDomain[]): Promise<void> {
  await inParallel(restored, AT_ONCE, async ({ domain, ancestor, sequence }) => {
    const before = await readAncestors(io, ancestor)
    // With those further back it shares no more than with the ancestor.
    const further = before.map(one => ({ ...one, sequence: Math.min(one.sequence, sequence) }))
    const bytes = encodeOrigin({ domain, ancestors: [{ domain: ancestor, sequence }, ...further] })
    // The domain's uuid is new: nobody else writes this.
    await io.run({ type: 'overwrite', key: originKey(domain), bytes })
  })
}

async function readAncestors(
  io: IoRunner,
  domain: string,
): Promise<{ domain: string; sequence: number }[]> {
  const key = originKey(domain)
  const bytes = await io.run({ type: 'read', key })
  return bytes === null ? [] : decodeOrigin(bytes, key).ancestors
}
