/**
 * Puts committed row batches into the bucket as a tail object (docs/tail-shipping.md). Stateless;
 * an I/O thread.
 */
import { tailKey } from '../../codec/bucket-layout.ts'
import { conflict, MetastoreError } from '../../codec/errors.ts'
import { decodeTail, encodeTail, type Tail } from '../../codec/tail.ts'
import { putOnce } from '../../shared/conditional-put.ts'
import type { TailTask } from '../../shared/io-tasks.ts'
import type { ObjectStore } from '../../shared/object-store.ts'
import { unpackBatches } from '../../shared/packed-batches.ts'
import { type RetryOptions, withRetry } from '../../shared/retry.ts'

/**
 * The bucket gets less time than for a table: it is asked again with the next interval, and other
 * domains wait for their turn.
 */
const TAIL_DEADLINE_MS = 10_000

/**
 * @returns bytes of the object
 * @throws CONFLICT when the bucket has other batches under the name
 */
export async function putTail(
  bucket: ObjectStore,
  { name, clusterId, createdAt, batches, compression }: TailTask,
  deadlineMs: number,
): Promise<number> {
  const options = { deadlineMs: Math.min(deadlineMs, TAIL_DEADLINE_MS) }
  const key = tailKey(name)
  const tail = { ...name, clusterId, createdAt, batches: unpackBatches(batches) }
  const bytes = encodeTail(tail, compression)
  if ((await putOnce(bucket, key, bytes, options)) === 'exists') {
    await expectSame(bucket, key, tail, options)
  }
  return bytes.length
}

/**
 * The same epoch has put it before, and did not hear of it. Only the time may differ: a committed
 * sequence is one batch for ever.
 */
async function expectSame(
  bucket: ObjectStore,
  key: string,
  tail: Tail,
  options: RetryOptions,
): Promise<void> {
  const bytes = await withRetry(options, signal => bucket.get(key, { signal }))
  if (bytes === null) throw new MetastoreError('UNAVAILABLE', `${key} was there and is gone`)
  const found = decodeTail(bytes, key)
  const isSame =
    found.clusterId === tail.clusterId &&
    found.batches.length === tail.batches.length &&
    found.batches.every((batch, i) => Buffer.compare(batch, tail.batches[i]) === 0)
  if (!isSame) throw conflict(`${key} is in the bucket with other batches`)
}
