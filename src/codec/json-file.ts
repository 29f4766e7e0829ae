/** Small JSON objects in the bucket: `{"format": name, "version": n, ...}`, one line. */
import { corruption } from './errors.ts'

export type JsonFields = Partial<Record<string, unknown>>

export function encodeJsonFile(format: string, version: number, fields: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ format, version, ...fields })}\n`)
}

/** @throws CORRUPTION naming `file` when it is something else, or of another version */
export function decodeJsonFile(
  bytes: Uint8Array,
  format: string,
  version: number,
  file: string,
): JsonFields {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw corruption(`${file} is not JSON: ${String(error)}`, { file })
  }
  const fields = (typeof value === 'object' && value !== null ? value : {}) as JsonFields
  if (fields.format !== format || fields.version !== version) {
    throw corruption(`${file} is not a ${format} of version ${version}`, { file })
  }
  return fields
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
