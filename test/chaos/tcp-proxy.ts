/**
 * The way from one node to another: a proxy of TCP that can cut connections, hold what goes one way or
 * both, delay and throttle. What it has taken is delivered in order, or lost with its connection.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

const HOST = '127.0.0.1'
/** Bytes that wait in one direction before the sender is made to wait. */
const WAITING_BYTES_MAX = 1024 * 1024

export interface Weather {
  /** Connections end, and new ones end at once. */
  readonly isCut: boolean
  /** Nothing is delivered towards the target, or back from it; connections stay. */
  readonly holdsForward: boolean
  readonly holdsBack: boolean
  readonly delayMs: number
  /** 0: as fast as it goes. */
  readonly bytesPerSecond: number
}

export const FAIR: Weather = {
  isCut: false,
  holdsForward: false,
  holdsBack: false,
  delayMs: 0,
  bytesPerSecond: 0,
}

export class TcpProxy {
  readonly #server: Server
  readonly #targetPort: number
  readonly #sockets = new Set<Socket>()
  readonly #streams = new Set<Stream>()
  #weather = FAIR

  private constructor(targetPort: number) {
    this.#targetPort = targetPort
    this.#server = createServer(socket => this.#accept(socket))
  }

  static async start(targetPort: number, port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(port, HOST, resolve)
    })
    return proxy
  }

  get weather(): Weather {
    return this.#weather
  }

  set weather(weather: Weather) {
    this.#weather = weather
    if (weather.isCut) for (const socket of this.#sockets) socket.destroy()
    for (const stream of this.#streams) stream.deliver()
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #accept(near: Socket): void {
    if (this.#weather.isCut) {
      near.destroy()
      return
    }
    const far = connect({ host: HOST, port: this.#targetPort, noDelay: true })
    const ways = [
      new Stream(near, far, () => (this.#weather.holdsForward ? undefined : this.#weather)),
      new Stream(far, near, () => (this.#weather.holdsBack ? undefined : this.#weather)),
    ]
    for (const stream of ways) this.#streams.add(stream)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.add(socket)
      // Told by 'close' as well.
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        for (const stream of ways) this.#streams.delete(stream)
        other.destroy()
      })
    }
  }
}

/** One direction of one connection. */
class Stream {
  readonly #from: Socket
  readonly #to: Socket
  readonly #weather: () => Weather | undefined
  readonly #waiting: { readonly chunk: Buffer; readonly dueAt: number }[] = []
  #waitingBytes = 0
  #freeAt = 0
  #timer: NodeJS.Timeout | undefined

  /** @param weather undefined: nothing is delivered */
  constructor(from: Socket, to: Socket, weather: () => Weather | undefined) {
    this.#from = from
    this.#to = to
    this.#weather = weather
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    from.on('end', () => to.destroy())
    from.on('close', () => clearTimeout(this.#timer))
  }

  #take(chunk: Buffer): void {
    const delayMs = this.#weather()?.delayMs ?? 0
    this.#waiting.push({ chunk, dueAt: performance.now() + delayMs })
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#from.pause()
    this.deliver()
  }

  /** All that may go now, and the rest in its time. */
  deliver(): void {
    clearTimeout(this.#timer)
    for (let next = this.#waiting.at(0); next !== undefined; next = this.#waiting.at(0)) {
      const weather = this.#weather()
      if (weather === undefined || this.#to.destroyed) return
      const now = performance.now()
      const dueAt = Math.max(next.dueAt, this.#freeAt)
      if (dueAt > now) {
        this.#timer = setTimeout(() => this.deliver(), Math.ceil(dueAt - now))
        return
      }
      const { chunk } = next
      if (weather.bytesPerSecond > 0) {
        this.#freeAt = now + (chunk.length / weather.bytesPerSecond) * 1000
      }
      this.#waiting.shift()
      this.#waitingBytes -= chunk.length
      this.#to.write(chunk)
    }
    this.#from.resume()
  }
}
