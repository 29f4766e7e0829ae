/** Checks of what callers pass in; every failure is INVALID_REQUEST naming field and value. */
import { invalidRequest } from '../../codec/errors.ts'
import { parseUuid, UUID_BYTES } from '../../codec/uuid.ts'
import { show } from '../show.ts'

/** A last offset leaves room for the next one. */
export const LAST_OFFSET_MAX: number = Number.MAX_SAFE_INTEGER - 1

export function checkNumber(
  value: unknown,
  field: string,
  most: number = Number.MAX_SAFE_INTEGER,
  least = 0,
): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalidRequest(`${field} must be an integer from ${least} to ${most}, not ${show(value)}`)
  }
  return value as number
}

export function checkArray<T>(value: readonly T[], field: string): readonly T[] {
  if (!Array.isArray(value)) throw invalidRequest(`${field} must be an array, not ${show(value)}`)
  return value
}

export function checkObject(value: unknown, field: string): void {
  if (typeof value !== 'object' || value === null) {
    throw invalidRequest(`${field} must be an object, not ${show(value)}`)
  }
}

export function checkBoolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') {
    throw invalidRequest(`${field} must be a boolean, not ${show(value)}`)
  }
  return value
}

/** The 16 bytes of a UUID. */
export function checkUuid(value: unknown, field: string): Uint8Array {
  const bytes = new Uint8Array(UUID_BYTES)
  if (typeof value !== 'string' || !parseUuid(value, bytes, 0)) {
    throw invalidRequest(`${field} must be a lower-case UUID, not ${show(value)}`)
  }
  return bytes
}
