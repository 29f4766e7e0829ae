/** How far a domain's tail objects reach, by their names alone. Stateless; an I/O thread. */
import { tailOfKey, tailPrefix } from '../../codec/bucket-layout.ts'
import type { TailName } from '../../codec/tail.ts'
import type { ObjectStore } from '../../shared/object-store.ts'
import { withRetry } from '../../shared/retry.ts'
import { coveringTails } from '../../shared/tail-cover.ts'

/** @returns the last sequence that is there without a gap after `after`; `after` if none is */
export async function tailReach(
  bucket: ObjectStore,
  domain: string,
  after: number,
  deadlineMs: number,
): Promise<number> {
  const prefix = tailPrefix(domain)
  const names: TailName[] = []
  let from: string | undefined
  do {
    const page = await withRetry({ deadlineMs }, signal =>
      bucket.list(prefix, from === undefined ? { signal } : { signal, after: from }),
    )
    for (const { key } of page.objects) {
      const name = tailOfKey(key)
      if (name !== undefined && name.last > after) names.push(name)
    }
    from = page.next ?? undefined
  } while (from !== undefined)
  return coveringTails(names, after).at(-1)?.last ?? after
}
