/** XXH64 as the table stores it: 8 bytes, little-endian, right after or far from what it covers. */
import { getU32, putU32 } from '../bytes.ts'
import { corruption } from '../errors.ts'
import { xxh64 } from '../hash.ts'

const LOW_32 = 0xffffffffn

/** Writes the checksum of `covered` at `at`. */
export function putChecksum(into: Uint8Array, at: number, covered: Uint8Array): void {
  const hash = xxh64(covered)
  putU32(into, at, Number(hash & LOW_32))
  putU32(into, at + 4, Number(hash >> 32n))
}

/** @throws CORRUPTION naming `what` unless the checksum at `at` is that of `covered`. */
export function verifyChecksum(
  from: Uint8Array,
  at: number,
  covered: Uint8Array,
  what: string,
): void {
  const hash = xxh64(covered)
  const isSame =
    getU32(from, at) === Number(hash & LOW_32) && getU32(from, at + 4) === Number(hash >> 32n)
  if (!isSame) throw corruption(`${what} does not match its checksum`)
}
