/**
 * Which calls were acknowledged, and when, in a file that outlives the process that was told so: it
 * is not synced, since it is the process that is killed and not the machine. What is still in memory
 * at its death, the acknowledgements of its last turn, counts for nobody.
 *
 *   acknowledgements x { f64 milliseconds since the epoch | u32 number of the call }
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

const ENTRY_BYTES = 12
/** Of one turn of the event loop; more are written at once. */
const TURN_ENTRIES_MAX = 4096

export interface Acknowledgement {
  call: number
  /** Milliseconds since the epoch. */
  at: number
}

export class Acknowledgements {
  readonly #file: number
  readonly #turn: Buffer = Buffer.alloc(ENTRY_BYTES * TURN_ENTRIES_MAX)
  #turnBytes = 0
  count = 0

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  add(call: number): void {
    if (this.#turnBytes === 0) setImmediate(() => this.#write())
    this.#turn.writeDoubleLE(Date.now(), this.#turnBytes)
    this.#turn.writeUInt32LE(call, this.#turnBytes + 8)
    this.#turnBytes += ENTRY_BYTES
    this.count++
    if (this.#turnBytes === this.#turn.length) this.#write()
  }

  close(): void {
    this.#write()
    closeSync(this.#file)
  }

  #write(): void {
    if (this.#turnBytes === 0) return
    writeSync(this.#file, this.#turn, 0, this.#turnBytes)
    this.#turnBytes = 0
  }
}

export function readAcknowledgements(path: string): Acknowledgement[] {
  const bytes = readFileSync(path)
  return Array.from({ length: Math.floor(bytes.length / ENTRY_BYTES) }, (_, i) => ({
    at: bytes.readDoubleLE(i * ENTRY_BYTES),
    call: bytes.readUInt32LE(i * ENTRY_BYTES + 8),
  }))
}
