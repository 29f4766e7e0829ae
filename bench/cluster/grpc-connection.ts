/**
 * A gRPC client's connection, unary calls only: frames of HTTP/2 by hand (RFC 9113). A server is
 * measured with the client on the same cores, and Node's own HTTP/2 takes some 100 µs of them for a
 * call, which is as much as the server does. This takes a tenth of that: the headers of a call are
 * bytes made beforehand, those of an answer are not decoded, and what is sent in one turn goes out
 * in one write.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const FRAME_HEAD_BYTES = 9
const FRAME = {
  ...{ data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 },
} as const
const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const
const SETTING_HEADER_TABLE_SIZE = 1
const SETTING_INITIAL_WINDOW_SIZE = 4
/** What a connection may take before it says that it takes more. */
const INITIAL_WINDOW = 65_535
const WINDOW_MAX = 2 ** 31 - 1
/** Of a gRPC message: u8 compressed or not, u32 length. */
const MESSAGE_HEAD_BYTES = 5

interface Waiter {
  resolve: (message: Buffer) => void
  reject: (error: Error) => void
  /** Parts of the answer's message. */
  parts: Buffer[]
}

interface Call {
  stream: number
  headers: Buffer
  message: Uint8Array
}

/** The server has answered without a message: it has refused the call, or given it up. */
export class RefusedCall extends Error {
  constructor() {
    super('the server has refused a call')
  }
}

export class GrpcConnection {
  readonly #socket: Socket
  readonly #headers = new Map<string, Buffer>()
  readonly #waiters = new Map<number, Waiter>()
  /** Calls that the server's window has no room for. */
  readonly #held: Call[] = []
  #window = INITIAL_WINDOW
  #nextStream = 1
  #out: Uint8Array[] = []
  #in: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server has closed the connection')))
    const settings = Buffer.alloc(12)
    settings.writeUInt16BE(SETTING_HEADER_TABLE_SIZE, 0)
    settings.writeUInt16BE(SETTING_INITIAL_WINDOW_SIZE, 6)
    settings.writeUInt32BE(WINDOW_MAX, 8)
    this.#send(Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, settings))
    // 2 GiB of answers: more than any bench asks for.
    this.#send(frame(FRAME.windowUpdate, 0, 0, u32(WINDOW_MAX - INITIAL_WINDOW)))
  }

  static async open(host: string, port: number): Promise<GrpcConnection> {
    const socket = connect(port, host)
    await once(socket, 'connect')
    return new GrpcConnection(socket)
  }

  /** @param message encoded @returns the answer's message; a view. Rejects when there is none */
  call(path: string, message: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#nextStream
      this.#nextStream += 2
      this.#waiters.set(stream, { resolve, reject, parts: [] })
      const call = { stream, headers: this.#headersOf(path), message }
      if (this.#held.length > 0 || !this.#start(call)) this.#held.push(call)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  // -------------------------------------------------------------- what is sent

  /** @returns false when the server's window has no room */
  #start({ stream, headers, message }: Call): boolean {
    const size = MESSAGE_HEAD_BYTES + message.length
    if (this.#window < size) return false
    this.#window -= size
    const head = Buffer.alloc(2 * FRAME_HEAD_BYTES + headers.length + MESSAGE_HEAD_BYTES)
    putFrameHead(head, 0, headers.length, FRAME.headers, FLAG.endHeaders, stream)
    headers.copy(head, FRAME_HEAD_BYTES)
    const dataAt = FRAME_HEAD_BYTES + headers.length
    putFrameHead(head, dataAt, size, FRAME.data, FLAG.endStream, stream)
    head.writeUInt32BE(message.length, dataAt + FRAME_HEAD_BYTES + 1)
    this.#send(head, message)
    return true
  }

  #headersOf(path: string): Buffer {
    let headers = this.#headers.get(path)
    if (headers === undefined) {
      headers = encodeHeaders(path, `${this.#socket.remoteAddress}:${this.#socket.remotePort}`)
      this.#headers.set(path, headers)
    }
    return headers
  }

  #send(...parts: Uint8Array[]): void {
    // After all that this turn's microtasks still send.
    if (this.#out.length === 0) setImmediate(() => this.#flush())
    this.#out.push(...parts)
  }

  #flush(): void {
    const out = Buffer.concat(this.#out)
    this.#out = []
    if (!this.#socket.destroyed) this.#socket.write(out)
  }

  // -------------------------------------------------------------- what comes in

  #receive(chunk: Buffer): void {
    const bytes = this.#in.length === 0 ? chunk : Buffer.concat([this.#in, chunk])
    let at = 0
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      const stream = bytes.readUInt32BE(at + 5) & WINDOW_MAX
      this.#onFrame(bytes[at + 3], bytes[at + 4], stream, bytes.subarray(at + 9, end))
      at = end
    }
    this.#in = bytes.subarray(at)
  }

  #onFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case FRAME.data:
        this.#waiters.get(stream)?.parts.push(payload)
        break
      case FRAME.headers:
        if ((flags & FLAG.endStream) !== 0) this.#end(stream)
        break
      case FRAME.reset:
        this.#end(stream)
        break
      case FRAME.settings:
        if ((flags & FLAG.ack) === 0) this.#send(frame(FRAME.settings, FLAG.ack, 0, NO_BYTES))
        break
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) this.#send(frame(FRAME.ping, FLAG.ack, 0, payload))
        break
      case FRAME.goAway:
        this.#fail(new Error(`the server goes away: ${payload.subarray(8).toString()}`))
        break
      case FRAME.windowUpdate:
        if (stream === 0) this.#widen(payload.readUInt32BE(0))
    }
  }

  #widen(bytes: number): void {
    this.#window += bytes
    let started = 0
    while (started < this.#held.length && this.#start(this.#held[started])) started++
    this.#held.splice(0, started)
  }

  /** A call that has failed has headers, and no message. */
  #end(stream: number): void {
    const waiter = this.#waiters.get(stream)
    if (waiter === undefined) return
    this.#waiters.delete(stream)
    const { parts, resolve, reject } = waiter
    const message = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    if (message.length < MESSAGE_HEAD_BYTES) reject(new RefusedCall())
    else resolve(message.subarray(MESSAGE_HEAD_BYTES))
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiters.values()) reject(error)
    this.#waiters.clear()
    this.#socket.destroy()
  }
}

const NO_BYTES = Buffer.alloc(0)

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length)
  putFrameHead(bytes, 0, payload.length, type, flags, stream)
  payload.copy(bytes, FRAME_HEAD_BYTES)
  return bytes
}

function putFrameHead(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes.writeUIntBE(length, at, 3)
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes.writeUInt32BE(stream, at + 5)
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** HPACK (RFC 7541): names of the static table by number, values as they are. */
function encodeHeaders(path: string, authority: string): Buffer {
  const text = (value: string): Buffer => Buffer.from([value.length, ...Buffer.from(value)])
  return Buffer.concat([
    // :method POST, :scheme http
    Buffer.from([0x83, 0x86]),
    ...[Buffer.from([0x04]), text(path)],
    ...[Buffer.from([0x01]), text(authority)],
    // 31, content-type: 15 in four bits, and 16 more.
    ...[Buffer.from([0x0f, 0x10]), text('application/grpc')],
    ...[Buffer.from([0x00]), text('te'), text('trailers')],
  ])
}
