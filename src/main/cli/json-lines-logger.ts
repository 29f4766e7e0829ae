/** A Logger that writes a line of JSON for each message, in the shape of pino's. */
import { hostname } from 'node:os'
import type { Logger } from '../logger.ts'

/** Pino's numbers. */
const LEVEL = { debug: 20, info: 30, warn: 40, error: 50 } as const

export class JsonLinesLogger implements Logger {
  readonly #write: (line: string) => void
  readonly #process = { pid: process.pid, hostname: hostname() }

  /** @param write gets each line with its newline */
  constructor(write: (line: string) => void) {
    this.#write = write
  }

  debug(details: object, message: string): void {
    this.#line(LEVEL.debug, details, message)
  }

  info(details: object, message: string): void {
    this.#line(LEVEL.info, details, message)
  }

  warn(details: object, message: string): void {
    this.#line(LEVEL.warn, details, message)
  }

  error(details: object, message: string): void {
    this.#line(LEVEL.error, details, message)
  }

  #line(level: number, details: object, msg: string): void {
    const line = { level, time: Date.now(), ...this.#process, ...details, msg }
    this.#write(`${JSON.stringify(line, plain)}\n`)
  }
}

/** What JSON has no form for. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (!(value instanceof Error)) return value
  const { code } = value as NodeJS.ErrnoException
  const { name: type, message, stack, cause } = value
  return { type, code, message, stack, cause }
}
