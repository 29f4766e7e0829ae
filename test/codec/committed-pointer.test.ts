/**
 * Goal: the pointer that makes a manifest count is never misread.
 * Method: golden text, a round trip by property, and every field missing or wrong.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { decodeCommitted, encodeCommitted } from '../../src/codec/committed-pointer.ts'
import { MetastoreError } from '../../src/codec/errors.ts'

const DOMAIN = '00112233-4455-6677-8899-aabbccddeeff'
const GOLDEN = `{"format":"waymark-committed","version":1,"manifest":{"domain":"${DOMAIN}","epoch":3,"version":12}}\n`
const encoder = new TextEncoder()

function refuses(bytes: Uint8Array, why: string): void {
  assert.throws(
    () => decodeCommitted(bytes, 'the/file'),
    (error: unknown) =>
      error instanceof MetastoreError &&
      error.code === 'CORRUPTION' &&
      error.message.includes('the/file') &&
      (error.details as { file: string }).file === 'the/file',
    why,
  )
}

test('a pointer has its golden text', () => {
  const name = { domain: DOMAIN, epoch: 3, version: 12 }
  assert.equal(new TextDecoder().decode(encodeCommitted(name)), GOLDEN)
  assert.deepEqual(decodeCommitted(encoder.encode(GOLDEN), 'the/file'), name)
})

test('every name comes back', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.maxSafeNat(), fc.maxSafeNat(), (domain, epoch, version) => {
      const name = { domain, epoch, version }
      assert.deepEqual(decodeCommitted(encodeCommitted(name), 'the/file'), name)
    }),
  )
})

test('a field that is missing or wrong is CORRUPTION naming the file', () => {
  const manifest = { domain: DOMAIN, epoch: 3, version: 12 }
  const good = { format: 'waymark-committed', version: 1, manifest }
  const bad: unknown[] = [
    { ...good, format: 'waymark-cluster' },
    { ...good, version: 2 },
    { ...good, version: '1' },
    { ...good, manifest: undefined },
    { ...good, manifest: null },
    { ...good, manifest: 'x' },
    ...[undefined, 'x', DOMAIN.toUpperCase(), 1].map(domain => ({
      ...good,
      manifest: { ...manifest, domain },
    })),
    ...[undefined, null, -1, 1.5, '3', 2 ** 53].flatMap(count => [
      { ...good, manifest: { ...manifest, epoch: count } },
      { ...good, manifest: { ...manifest, version: count } },
    ]),
    null,
    5,
    'x',
    [],
    {},
  ]
  for (const value of bad) {
    const text = JSON.stringify(value)
    refuses(encoder.encode(text), text)
  }
})

test('a pointer cut short anywhere, and bytes that are no JSON or UTF-8, are CORRUPTION', () => {
  const bytes = encoder.encode(GOLDEN.trimEnd())
  for (let length = 0; length < bytes.length; length++) {
    refuses(bytes.subarray(0, length), `${length} bytes`)
  }
  refuses(Uint8Array.of(0xff, 0xfe), 'not UTF-8')
})
