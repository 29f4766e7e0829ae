/**
 * An HTTP proxy between a client of S3 and the server that does wrong on purpose, as a plan says.
 * Headers pass as they are, Host included, so that signatures stay valid.
 */
import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request as requestUpstream,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type ProxyFault =
  /** The server does it, and the connection ends before the answer. */
  | { type: 'loseAnswer' }
  /** An answer without asking the server: an error of S3 with this code, or the body as it is. */
  | { type: 'answer'; status: number; code?: string; body?: string }
  /** No answer. The server is not asked. */
  | { type: 'hang' }
  /** Signs of life, and never an answer. */
  | { type: 'dawdle' }
  /** The answer's body stops after so many bytes, and its connection stays. */
  | { type: 'stall'; atByte: number }
  /** The server is asked this much later, whether the client still waits or not. */
  | { type: 'late'; ms: number }
  /** The connection ends after so many bytes of the answer's body. */
  | { type: 'cut'; atByte: number }
  /** One bit of the answer's body is another one. */
  | { type: 'flip'; atByte: number }

export interface ProxiedRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

export type ProxyPlan = (request: ProxiedRequest) => ProxyFault | null

export class FaultProxy {
  /** Replace it to change the weather. */
  plan: ProxyPlan = () => null
  /** What was asked for, in order. */
  readonly requests: ProxiedRequest[] = []
  readonly #upstream: URL
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true })

  private constructor(upstream: string) {
    this.#upstream = new URL(upstream)
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  /** @param upstream endpoint of the server */
  static async listen(upstream: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Each of these faults at the next request that `isMeant`, then none. */
  script(isMeant: (request: ProxiedRequest) => boolean, ...faults: ProxyFault[]): void {
    const rest = [...faults]
    this.plan = request => (isMeant(request) ? (rest.shift() ?? null) : null)
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await closed
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = incoming
    const request = { method, url, headers }
    const fault = this.plan(request)
    this.requests.push(request)
    try {
      const body = await bytesOf(incoming)
      if (fault?.type === 'hang') return
      if (fault?.type === 'dawdle') {
        const signs = setInterval(() => outgoing.writeProcessing(), 20)
        incoming.socket.once('close', () => clearInterval(signs))
        return
      }
      if (fault?.type === 'answer') {
        outgoing.writeHead(fault.status, { 'content-type': 'application/xml' })
        outgoing.end(method === 'HEAD' ? undefined : (fault.body ?? errorBody(fault.code)))
        return
      }
      if (fault?.type === 'late') await sleep(fault.ms)
      const answer = await this.#ask(incoming, body)
      const answered = await bytesOf(answer)
      if (fault?.type === 'loseAnswer') {
        incoming.socket.destroy()
        return
      }
      outgoing.writeHead(answer.statusCode ?? 500, answer.rawHeaders)
      if (fault?.type === 'flip') answered[fault.atByte] ^= 1
      if (fault?.type === 'stall') outgoing.write(answered.subarray(0, fault.atByte))
      else if (fault?.type === 'cut') {
        outgoing.write(answered.subarray(0, fault.atByte), () => incoming.socket.destroy())
      } else outgoing.end(answered)
    } catch {
      // The client or this proxy has gone.
      incoming.socket.destroy()
    }
  }

  async #ask(incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port } = this.#upstream
    const { method, url: path, headers } = incoming
    const { connection: _, expect: __, ...passed } = headers
    const options = { hostname, port, method, path, headers: passed, agent: this.#agent }
    const upstream = requestUpstream({ ...options, setHost: false })
    upstream.end(body)
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
    return answer
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function errorBody(code = 'InternalError'): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>on purpose</Message></Error>`
}
