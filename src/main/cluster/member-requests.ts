/**
 * What members ask of each other besides Raft: payloads of request frames (docs/wire-format.md).
 *
 *   write     varint domain, then a write as for the worker (shared/messages.ts);
 *             answer: its answer
 *   read      varint domain, u8 1 when the read is linearizable, 0 when the leader's view is
 *             enough, then a read as for the worker; answer: its answer
 *   admin     varint domain, u8 operation, then its arguments as a JSON array of numbers;
 *             answer: JSON
 *   ready     varint domain; answer: u8 1 when this node could lead the domain and write at once, 0
 *             when it has still to replay what is committed
 *   members   a list of members (member-book.ts) as JSON; answer: the list of who was asked
 *
 * The first three are answered by the node that leads the domain; others answer UNAVAILABLE,
 * details {leader}: the leader that they know, or 0.
 */

/** On the wire; these never change. */
export const MEMBER_REQUEST = { write: 1, read: 2, admin: 3, members: 4, ready: 5 } as const

/** On the wire: the position, which never changes. */
export const ADMIN_OPERATIONS = [
  'flush',
  'compact',
  'collectGarbage',
  'countGarbage',
  /** node */
  'transfer',
  /** The voters that the group shall have; answer: whether it has them. A step on the way there. */
  'place',
  /** Flushes; answer: what the bucket has then, {sequence, manifest}. */
  'checkpoint',
] as const
export type AdminOperation = (typeof ADMIN_OPERATIONS)[number]

/** Carries out an operation on a domain that this node leads. */
export type Administer = (
  operation: AdminOperation,
  domain: number,
  args: readonly number[],
) => Promise<unknown>
