/** scanCollectable, getObjectStates: what garbage collection asks of the object rows. */
import { keyId, ROW_TYPE } from '../../codec/keys.ts'
import { decodeObject, OBJECT_STATE, type ObjectRow } from '../../codec/rows.ts'
import { UUID_BYTES } from '../../codec/uuid.ts'
import { type Read, readKeys } from './read.ts'

/** Rows that one scanCollectable looks at. */
const SCAN_ROWS_MAX = 2000

/** Nobody can refer to the object any more, now or later. */
export function isGarbage({ state, liveExtents }: ObjectRow): boolean {
  return state !== OBJECT_STATE.preregistered && liveExtents === 0
}

export interface CollectableScan {
  /** 16 bytes; the scan goes on after it. Undefined: from the first one. */
  after: Uint8Array | undefined
  /** Preregistrations made at or before have expired. */
  madeBy: number
}

export interface CollectableObjects {
  /** 16 bytes each, ascending: preregistrations that have expired, and are not marked so yet. */
  expired: Uint8Array[]
  /** Ascending. */
  garbage: { id: Uint8Array; sizeBytes: number }[]
  /** When the oldest other preregistration was made; null when there is none. */
  oldestMadeAt: number | null
  /** Where to go on; undefined at the end. */
  next: Uint8Array | undefined
}

const ENTRY = { end: 0, expired: 1, garbage: 2, next: 3, oldest: 4 } as const

/** varint made by | [16 after] -> entries: u8 kind | 16 id or varint time | [varint bytes] */
export const scanCollectable: Read<CollectableScan, CollectableObjects> = {
  encode(out, { after, madeBy }) {
    out.varint(madeBy)
    if (after !== undefined) out.raw(after)
  },
  answer(view, reader, out) {
    const madeBy = reader.varint()
    const after = reader.remaining > 0 ? reader.raw(UUID_BYTES) : undefined
    const scan = view.cursor(Uint8Array.of(ROW_TYPE.object))
    if (after === undefined) scan.seekFirst()
    else {
      const key = readKeys.object(after)
      scan.seek(key)
      if (scan.valid && Buffer.compare(scan.key(), key) === 0) scan.next()
    }
    let oldest: number | undefined
    let rows = 0
    for (; scan.valid; scan.next()) {
      const key = scan.key()
      const row = decodeObject(key, scan.value())
      if (isGarbage(row)) out.u8(ENTRY.garbage).raw(keyId(key)).varint(row.sizeBytes)
      else if (row.state === OBJECT_STATE.preregistered) {
        if (row.updatedAt <= madeBy) out.u8(ENTRY.expired).raw(keyId(key))
        else oldest = Math.min(oldest ?? row.updatedAt, row.updatedAt)
      }
      if (++rows === SCAN_ROWS_MAX) {
        out.u8(ENTRY.next).raw(keyId(key))
        break
      }
    }
    if (oldest !== undefined) out.u8(ENTRY.oldest).varint(oldest)
    out.u8(ENTRY.end)
  },
  decode(reader) {
    const found: CollectableObjects = {
      expired: [],
      garbage: [],
      oldestMadeAt: null,
      next: undefined,
    }
    for (;;) {
      const kind = reader.u8()
      if (kind === ENTRY.end) return found
      if (kind === ENTRY.oldest) {
        found.oldestMadeAt = reader.varint()
        continue
      }
      const id = reader.raw(UUID_BYTES).slice()
      if (kind === ENTRY.expired) found.expired.push(id)
      else if (kind === ENTRY.garbage) found.garbage.push({ id, sizeBytes: reader.varint() })
      else found.next = id
    }
  },
}

export type CollectableState = 'unknown' | 'used' | 'garbage'
const STATES: readonly CollectableState[] = ['unknown', 'used', 'garbage']

/** 16 id each -> u8 state each, in the same order */
export const getObjectStates: Read<readonly Uint8Array[], CollectableState[]> = {
  encode(out, ids) {
    for (const id of ids) out.raw(id)
  },
  answer(view, reader, out) {
    while (reader.remaining > 0) {
      const key = readKeys.object(reader.raw(UUID_BYTES))
      const value = view.get(key)
      const state = value === undefined ? 'unknown' : stateOf(decodeObject(key, value))
      out.u8(STATES.indexOf(state))
    }
  },
  decode(reader) {
    const states: CollectableState[] = []
    while (reader.remaining > 0) states.push(STATES[reader.u8()])
    return states
  },
}

function stateOf(row: ObjectRow): CollectableState {
  return isGarbage(row) ? 'garbage' : 'used'
}
