/**
 * The control words: what every thread of one Metastore may look at without asking. One
 * SharedArrayBuffer, each word in a cache line of its own.
 *
 *   line 0          main's doorbell. Unit: rings. Writers: all workers, by Atomics.add
 *                   (doorbell.ts). Reader: main
 *   line 1 + w      doorbell of worker w. Writer: main. Reader: worker w
 *   then line d     visible sequence of domain d, a 64-bit word. Unit: batches. Writer: main, by
 *                   Atomics.store when the log reports a batch committed; that store publishes the
 *                   batch's rows. Readers: any thread; never goes back
 */
import { Doorbell } from './doorbell.ts'

const LINE_BYTES = 128
const LINE_WORDS: number = LINE_BYTES / 4
const LINE_LONGS: number = LINE_BYTES / 8

export class Control {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #longs: BigInt64Array
  readonly #workers: number

  constructor(memory: SharedArrayBuffer, workers: number) {
    this.memory = memory
    this.#words = new Int32Array(memory)
    this.#longs = new BigInt64Array(memory)
    this.#workers = workers
  }

  static create(workers: number, domains: number): Control {
    return new Control(new SharedArrayBuffer((1 + workers + domains) * LINE_BYTES), workers)
  }

  mainDoorbell(): Doorbell {
    return new Doorbell(this.#words, 0)
  }

  workerDoorbell(worker: number): Doorbell {
    return new Doorbell(this.#words, (1 + worker) * LINE_WORDS)
  }

  /** The newest sequence that readers of a domain may see. */
  visibleSequence(domain: number): number {
    return Number(Atomics.load(this.#longs, (1 + this.#workers + domain) * LINE_LONGS))
  }

  /** Publishes all rows up to `sequence`. Main only; never with a smaller one than before. */
  advanceVisible(domain: number, sequence: number): void {
    Atomics.store(this.#longs, (1 + this.#workers + domain) * LINE_LONGS, BigInt(sequence))
  }
}
