/**
 * What members ask of each other besides Raft (the payloads of request frames, docs/wire-format.md):
 * calls for a domain that the other one leads. Little-endian; every payload begins with
 *
 *   varint domain
 *
 *   write     then a write as for the worker (shared/messages.ts); answer: its answer
 *   read      then u8 1 when the read is linearizable, 0 when the leader's view is enough; then a read
 *             as for the worker; answer: its answer
 *   admin     then u8 operation, and for `transfer` varint node; answer: JSON
 */

/** On the wire; these never change. */
export const MEMBER_REQUEST = { write: 1, read: 2, admin: 3 } as const

export const ADMIN_OPERATIONS = [
  'flush',
  'compact',
  'collectGarbage',
  'countGarbage',
  'transfer',
] as const
export type AdminOperation = (typeof ADMIN_OPERATIONS)[number]
