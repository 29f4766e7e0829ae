/**
 * Goal: frames come out of a stream however it is cut, and nothing is made room for unchecked.
 * Method: random frames in random pieces; each limit and checksum.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { FRAME_PING, type Frame, finishFrame, startFrame } from '../../../src/codec/frame-format.ts'
import { FrameReader } from '../../../src/main/net/frame-reader.ts'

function frame(type: number, content: Uint8Array): Uint8Array {
  return finishFrame(startFrame(type).raw(content))
}

function framesIn(reader: FrameReader, chunk: Uint8Array): Frame[] {
  const frames: Frame[] = []
  reader.push(chunk)
  for (let next = reader.next(); next !== undefined; next = reader.next()) frames.push(next)
  return frames
}

test('frames come out as they went in, whatever the pieces', () => {
  const frames = fc.array(fc.record({ type: fc.nat(255), content: fc.uint8Array() }), {
    maxLength: 10,
  })
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 })), (wanted, cuts) => {
      const stream = Buffer.concat(wanted.map(({ type, content }) => frame(type, content)))
      const reader = new FrameReader(4096)
      const found: Frame[] = []
      let at = 0
      for (const length of [...cuts, stream.length]) {
        // Sockets give pieces that nobody writes to again.
        found.push(...framesIn(reader, Uint8Array.from(stream.subarray(at, at + length))))
        at += length
      }
      assert.deepEqual(
        found.map(({ type, content }) => ({ type, content: [...content] })),
        wanted.map(({ type, content }) => ({ type, content: [...content] })),
      )
    }),
    { numRuns: 500 },
  )
})

test('a frame that lies whole in a chunk is a view of it', () => {
  const chunk = frame(9, Uint8Array.of(1, 2, 3))
  const [{ content }] = framesIn(new FrameReader(4096), chunk)
  assert.equal(content.buffer, chunk.buffer)
})

test('a length beyond the limit or 0 is refused when the header is there', () => {
  for (const length of [0, 4097, 2 ** 32 - 1]) {
    const header = Buffer.alloc(8)
    header.writeUInt32LE(length)
    const reader = new FrameReader(4096)
    assert.deepEqual(framesIn(reader, header.subarray(0, 7)), [])
    assert.throws(() => framesIn(reader, header.subarray(7)), { code: 'CORRUPTION' })
  }
})

test('the limit can be raised between two frames', () => {
  const reader = new FrameReader(16)
  const large = frame(9, new Uint8Array(100))
  assert.equal(framesIn(reader, frame(9, new Uint8Array(15))).length, 1)
  reader.frameBytesMax = 101
  assert.equal(framesIn(reader, large).length, 1)
  reader.frameBytesMax = 100
  assert.throws(() => framesIn(reader, large), { code: 'CORRUPTION' })
})

test('no room is made for a frame before its first byte has come', () => {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(2 ** 30)
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 64 }, () => new FrameReader(2 ** 30))
  for (const reader of readers) assert.deepEqual(framesIn(reader, header), [])
  assert.ok(process.memoryUsage().arrayBuffers < before + 2 ** 30)
})

test('a wrong checksum is CORRUPTION, whole or in pieces', () => {
  const damaged = frame(FRAME_PING, Uint8Array.of(1, 2, 3)).slice()
  damaged[10] ^= 1
  assert.throws(() => framesIn(new FrameReader(4096), damaged), { code: 'CORRUPTION' })
  const reader = new FrameReader(4096)
  assert.deepEqual(framesIn(reader, damaged.subarray(0, 11)), [])
  assert.throws(() => framesIn(reader, damaged.subarray(11)), { code: 'CORRUPTION' })
})
