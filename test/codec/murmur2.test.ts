/**
 * Goal: topic partitions land where Kafka's Java client would put them; this never changes.
 * Method: the vectors of Kafka's own tests (org.apache.kafka.common.utils.UtilsTest), which are
 * signed there, and the same bytes at another place.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { murmur2 } from '../../src/codec/murmur2.ts'

const VECTORS: [string, number][] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

test("Kafka's vectors hold, as unsigned numbers", () => {
  for (const [text, signed] of VECTORS) {
    assert.equal(murmur2(new TextEncoder().encode(text)), signed >>> 0, text)
  }
})

test('a part of an array hashes as those bytes alone', () => {
  for (const [text, signed] of VECTORS) {
    const bytes = new TextEncoder().encode(`xyz${text}xyz`)
    assert.equal(murmur2(bytes, 3, bytes.length - 3), signed >>> 0, text)
  }
})
