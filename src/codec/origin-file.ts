/**
 * Where a restored domain's history comes from (docs/garbage.md): put once, by the restore, before
 * anything else of the new cluster is in the bucket. Domains that share a part of their history
 * share the objects of that time.
 */
import { corruption } from './errors.ts'
import { decodeJsonFile, encodeJsonFile, isCount, type JsonFields } from './json-file.ts'
import { isUuid } from './uuid.ts'

const FORMAT = 'waymark-origin'
export const ORIGIN_FILE_VERSION = 1

export interface Ancestor {
  /** UUID. */
  domain: string
  /** Up to there at least the histories are one. */
  sequence: number
}

export interface OriginFile {
  /** UUID. */
  domain: string
  /** Nearest first. */
  ancestors: Ancestor[]
}

export function encodeOrigin(origin: OriginFile): Uint8Array {
  return encodeJsonFile(FORMAT, ORIGIN_FILE_VERSION, origin)
}

/** @throws CORRUPTION naming `file` */
export function decodeOrigin(bytes: Uint8Array, file: string): OriginFile {
  const { domain, ancestors } = decodeJsonFile(bytes, FORMAT, ORIGIN_FILE_VERSION, file)
  if (!isUuid(domain) || !Array.isArray(ancestors))
    throw corruption(`${file}: bad origin`, { file })
  return { domain, ancestors: ancestors.map((ancestor: unknown) => ancestorOf(ancestor, file)) }
}

function ancestorOf(value: unknown, file: string): Ancestor {
  const { domain, sequence } = (value ?? {}) as JsonFields
  if (!isUuid(domain) || !isCount(sequence)) throw corruption(`${file}: bad ancestor`, { file })
  return { domain, sequence }
}

/**
 * Up to which sequence two domains have the same history; undefined when they are no relatives.
 */
export function sharedHistory(a: OriginFile, b: OriginFile): number | undefined {
  const untilNow = Number.MAX_SAFE_INTEGER
  const others = new Map(b.ancestors.map(({ domain, sequence }) => [domain, sequence]))
  others.set(b.domain, untilNow)
  for (const { domain, sequence } of [{ domain: a.domain, sequence: untilNow }, ...a.ancestors]) {
    const other = others.get(domain)
    // The nearest one: what they share with those before it is less.
    if (other !== undefined) return Math.min(sequence, other)
  }
  return undefined
}
