/**
 * Goal: a tail object's bytes never change by accident, and a damaged one is CORRUPTION that names
 * the file, whatever was damaged.
 * Method: golden bytes, a round trip by property, every flipped byte, every truncation, and wrong
 * contents under a right checksum.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { RowBatchBuilder } from '../../src/codec/row-batch.ts'
import { decodeTail, encodeTail, type Tail } from '../../src/codec/tail.ts'
import { uuidBytes } from '../../src/codec/uuid.ts'

const CLUSTER = '00112233-4455-6677-8899-aabbccddeeff'
const DOMAIN = '11111111-2222-4333-8444-555555555555'

function batchOf(sequence: number, value: Uint8Array): Uint8Array {
  const batch = new RowBatchBuilder().begin(uuidBytes(DOMAIN), sequence)
  batch.put(Uint8Array.of(1), value)
  return batch.finish().slice()
}

const TAIL: Tail = {
  ...{ clusterId: CLUSTER, domain: DOMAIN, epoch: 3, first: 7, last: 8, createdAt: 2 ** 40 },
  batches: [batchOf(7, Uint8Array.of(5)), batchOf(8, Uint8Array.of(6, 7))],
}
const GOLDEN =
  '574d544c010000112233445566778899aabbccddeeff11111111222243338444555555555555030708808080808020' +
  '00472201111111112222433384445555555555550700000000000000010000000001010105230111111111222243' +
  '338444555555555555080000000000000001000000000101020607cd3cd9b2a09095aa'

function refuses(bytes: Uint8Array, why: string): void {
  assert.throws(
    () => decodeTail(bytes, 'the/file'),
    (error: unknown) =>
      error instanceof MetastoreError &&
      error.code === 'CORRUPTION' &&
      error.message.includes('the/file'),
    why,
  )
}

test('a tail has its golden bytes', () => {
  assert.equal(toHex(encodeTail(TAIL, 'none')), GOLDEN)
  assert.deepEqual(decodeTail(Uint8Array.from(Buffer.from(GOLDEN, 'hex')), 'the/file'), TAIL)
})

test('batches that compress are stored so, and those that do not are not', () => {
  const tail = { ...TAIL, last: 7, batches: [batchOf(7, new Uint8Array(10_000))] }
  const packed = encodeTail(tail, 'lz4')
  assert.ok(packed.length < 1000)
  assert.deepEqual(decodeTail(packed, 'the/file'), tail)
  const single = { ...TAIL, last: 7, batches: TAIL.batches.slice(0, 1) }
  assert.deepEqual(encodeTail(single, 'lz4'), encodeTail(single, 'none'))
})

test('every tail comes back', () => {
  const values = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(values, fc.nat(), fc.constantFrom('lz4', 'none'), (batches, first, compression) => {
      const tail: Tail = {
        ...{ ...TAIL, first, last: first + batches.length - 1 },
        batches: batches.map((value, i) => batchOf(first + i, value)),
      }
      assert.deepEqual(decodeTail(encodeTail(tail, compression), 'the/file'), tail)
    }),
  )
})

test('damage anywhere is CORRUPTION naming the file', () => {
  const bytes = Buffer.from(GOLDEN, 'hex')
  for (let i = 0; i < bytes.length; i++) {
    const damaged = Uint8Array.from(bytes)
    damaged[i] ^= 0x40
    refuses(damaged, `byte ${i}`)
    refuses(bytes.subarray(0, i), `${i} bytes`)
  }
})

test('batches that are not those of the name are CORRUPTION', () => {
  refuses(encodeTail({ ...TAIL, last: 9 }, 'none'), 'one is missing at the end')
  refuses(encodeTail({ ...TAIL, first: 6 }, 'none'), 'one is missing at the start')
  refuses(encodeTail({ ...TAIL, batches: TAIL.batches.toReversed() }, 'none'), 'another order')
})
