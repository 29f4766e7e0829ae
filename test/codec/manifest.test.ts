/**
 * Goal: a manifest's bytes never change by accident, and a damaged manifest is CORRUPTION that
 * names the file, whatever was damaged.
 * Method: golden bytes, a round trip by property, every flipped byte, every truncation, and wrong
 * contents under a right checksum.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { xxh64 } from '../../src/codec/hash.ts'
import {
  decodeManifest,
  encodeManifest,
  isNewerManifest,
  type Manifest,
  type TableDescription,
} from '../../src/codec/manifest.ts'

const CLUSTER = '00112233-4455-6677-8899-aabbccddeeff'
const DOMAIN = '11111111-2222-4333-8444-555555555555'
const ANCESTOR = '66666666-7777-4888-9999-aaaaaaaaaaaa'

const TABLE: TableDescription = {
  domain: ANCESTOR,
  epoch: 2,
  id: 5,
  level: 0,
  sizeBytes: 300,
  checksum: '0123456789abcdef',
  rows: 9,
  deletes: 1,
  smallestKey: Uint8Array.of(0),
  greatestKey: Uint8Array.of(0x10, 0xff),
  smallestSequence: 4,
  greatestSequence: 12,
}

const MANIFEST: Manifest = {
  clusterId: CLUSTER,
  domain: DOMAIN,
  epoch: 3,
  version: 8,
  parent: { domain: ANCESTOR, epoch: 2, version: 7 },
  lastSequence: 12,
  lastIndex: 128,
  nextTableId: 6,
  createdAt: 2 ** 40,
  compactionCursors: [Uint8Array.of(7, 8), new Uint8Array(0)],
  tables: [TABLE],
}

const ANCESTOR_HEX = '66666666777748889999aaaaaaaaaaaa'
const [HEAD, TAIL] = goldenParts()
const GOLDEN: string = [
  '574d4d460200', // magic, format version
  HEAD,
  '02', // compaction cursors
  '020708',
  '00',
  TAIL,
].join('')
/** Of version 1, which had no cursors. */
const GOLDEN_1: string = ['574d4d460100', HEAD, TAIL].join('')

function goldenParts(): [string, string] {
  const head = [
    '00112233445566778899aabbccddeeff',
    '11111111222243338444555555555555',
    '0308', // epoch, version
    `01${ANCESTOR_HEX}0207`, // parent
    '0c', // last sequence
    '8001', // last index
    '06', // next table id
    '808080808020', // created at
  ].join('')
  const tail = [
    '01', // tables
    `${ANCESTOR_HEX}020500`, // domain, epoch, id, level
    'ac02', // size
    '1030313233343536373839616263646566', // checksum
    '0901', // rows, deletes
    '0100', // smallest key
    '0210ff', // greatest key
    '040c', // sequences
  ].join('')
  return [head, tail]
}

/** `hex` with the checksum that makes it whole. */
function sealed(hex: string): Uint8Array {
  const body = Buffer.from(hex, 'hex')
  const checksum = Buffer.alloc(8)
  checksum.writeBigUInt64LE(xxh64(body))
  return Uint8Array.from(Buffer.concat([body, checksum]))
}

function refuses(bytes: Uint8Array, why: string): void {
  assert.throws(
    () => decodeManifest(bytes, 'the/file'),
    (error: unknown) =>
      error instanceof MetastoreError &&
      error.code === 'CORRUPTION' &&
      error.message.includes('the/file') &&
      (error.details as { file: string }).file === 'the/file',
    why,
  )
}

test('a manifest has its golden bytes, the checksum last', () => {
  assert.equal(toHex(encodeManifest(MANIFEST)), toHex(sealed(GOLDEN)))
  assert.deepEqual(decodeManifest(sealed(GOLDEN), 'the/file'), MANIFEST)
})

test('version 1 still opens: it had no compaction cursors', () => {
  assert.equal(toHex(sealed(GOLDEN_1).subarray(-8)), '1857bef00092105c')
  const manifest = { ...MANIFEST, compactionCursors: [] }
  assert.deepEqual(decodeManifest(sealed(GOLDEN_1), 'the/file'), manifest)
})

test('tables in an order in which reads would miss rows are CORRUPTION', () => {
  const at = (level: number, smallest: number, greatest: number): TableDescription => ({
    ...TABLE,
    level,
    smallestKey: Uint8Array.of(smallest),
    greatestKey: Uint8Array.of(greatest),
  })
  const check = (tables: TableDescription[]): void => {
    decodeManifest(encodeManifest({ ...MANIFEST, tables }), 'the/file')
  }
  check([at(0, 1, 9), at(0, 1, 9), at(1, 1, 3), at(1, 4, 6), at(2, 1, 9)])
  for (const tables of [
    [at(1, 1, 3), at(1, 3, 6)],
    [at(1, 4, 6), at(1, 1, 3)],
    [at(1, 1, 3), at(0, 1, 3)],
  ]) {
    refuses(encodeManifest({ ...MANIFEST, tables }), 'out of order')
  }
})

const count = fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
const name = { domain: fc.uuid(), epoch: count, version: count }
const table: fc.Arbitrary<TableDescription> = plain({
  domain: fc.uuid(),
  epoch: count,
  id: count,
  level: fc.nat(7),
  sizeBytes: count,
  checksum: fc.bigInt(0n, 2n ** 64n - 1n).map(sum => sum.toString(16).padStart(16, '0')),
  rows: count,
  deletes: count,
  smallestKey: fc.uint8Array(),
  greatestKey: fc.uint8Array(),
  smallestSequence: count,
  greatestSequence: count,
})
const manifests: fc.Arbitrary<Manifest> = plain({
  ...name,
  clusterId: fc.uuid(),
  parent: fc.option(plain(name)),
  lastSequence: count,
  lastIndex: count,
  nextTableId: count,
  createdAt: count,
  compactionCursors: fc.array(fc.uint8Array(), { maxLength: 7 }),
  tables: fc.array(table).map(inOrder),
})

test('every manifest comes back, and owns its bytes', () => {
  fc.assert(
    fc.property(manifests, manifest => {
      const bytes = encodeManifest(manifest)
      const back = decodeManifest(bytes, 'the/file')
      bytes.fill(0xee)
      assert.deepEqual(back, manifest)
    }),
  )
})

test('every flipped byte is CORRUPTION naming the file', () => {
  const whole = sealed(GOLDEN)
  for (let at = 0; at < whole.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const bytes = whole.slice()
      bytes[at] ^= mask
      refuses(bytes, `byte ${at} ^ ${mask}`)
    }
  }
})

test('every truncation and every byte too many is CORRUPTION naming the file', () => {
  const whole = sealed(GOLDEN)
  for (let length = 0; length < whole.length; length++) {
    refuses(whole.subarray(0, length), `${length} bytes`)
  }
  refuses(Uint8Array.of(...whole, 0), 'one byte more')
})

test('wrong contents are CORRUPTION naming the file, also under a right checksum', () => {
  refuses(sealed(GOLDEN.replace('574d4d46', '574d4d47')), 'another magic')
  refuses(sealed(GOLDEN.replace('574d4d460200', '574d4d460300')), 'a newer format')
  refuses(sealed(`${GOLDEN}00`), 'a byte after the last table')
  for (let length = 0; length < GOLDEN.length; length += 2) {
    refuses(sealed(GOLDEN.slice(0, length)), `the first ${length / 2} bytes`)
  }
})

test('the greater epoch is newer, then the greater version', () => {
  const named = (epoch: number, version: number) => ({ domain: DOMAIN, epoch, version })
  assert.equal(isNewerManifest(named(2, 1), named(1, 9)), true)
  assert.equal(isNewerManifest(named(1, 9), named(2, 1)), false)
  assert.equal(isNewerManifest(named(2, 2), named(2, 1)), true)
  assert.equal(isNewerManifest(named(2, 1), named(2, 2)), false)
  assert.equal(isNewerManifest(named(2, 1), named(2, 1)), false)
})

/** As a manifest has them: by level, and from level 1 on at most one here, so that none overlap. */
function inOrder(tables: TableDescription[]): TableDescription[] {
  const levels = new Set<number>()
  return tables
    .sort((a, b) => a.level - b.level)
    .filter(({ level }) => level === 0 || (!levels.has(level) && levels.add(level)))
}

/** Rows as the code makes them: fast-check's records have no prototype unless asked. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>
}
