/**
 * One direction of a connection through a wire of the test: passes bytes on in order, at once or as
 * slowly as it is told. What waits is held here: whoever sends finds that the network takes
 * everything, and hears nothing back.
 */
import type { Socket } from 'node:net'

export class Flow {
  readonly #to: Socket
  readonly #waiting: Uint8Array[] = []
  #isSlow: boolean
  waitingBytes = 0

  constructor(from: Socket, to: Socket, isSlow: boolean) {
    this.#to = to
    this.#isSlow = isSlow
    from.on('end', () => to.end())
    from.on('data', chunk => {
      if (this.#isSlow) {
        this.#waiting.push(chunk)
        this.waitingBytes += chunk.length
      } else if (!to.write(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
  }

  /** From now on bytes wait for pass(). */
  slowDown(): void {
    this.#isSlow = true
  }

  /** Everything goes on at once again. */
  heal(): void {
    this.#isSlow = false
    this.pass(Number.POSITIVE_INFINITY)
  }

  /** Passes on the oldest of what waits. */
  pass(bytesMax: number): void {
    let left = bytesMax
    while (left > 0 && this.#waiting.length > 0) {
      const passed = this.#waiting[0].subarray(0, left)
      const rest = this.#waiting[0].subarray(passed.length)
      this.#to.write(passed)
      if (rest.length > 0) this.#waiting[0] = rest
      else this.#waiting.shift()
      left -= passed.length
      this.waitingBytes -= passed.length
    }
  }
}
