/**
 * Whether this node works, over HTTP, for those who supervise it: GET /healthz is 200 while it is
 * open and knows a leader of every metastore partition that it has a replica of, else 503; GET
 * /status is status() as JSON.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MetastoreError } from '../../codec/errors.ts'
import type { PartitionStatus } from '../../shared/api.ts'
import type { Metastore } from '../metastore.ts'

interface Answer {
  readonly code: number
  readonly body: unknown
}

export class HealthServer {
  readonly #server: Server
  readonly #metastore: () => Metastore | undefined

  private constructor(metastore: () => Metastore | undefined) {
    this.#metastore = metastore
    this.#server = createServer((request, response) => void this.#respond(request, response))
  }

  /**
   * @param metastore undefined while it is not open yet
   * @throws UNAVAILABLE when it cannot listen there
   */
  static async listen(
    address: { host: string; port: number },
    metastore: () => Metastore | undefined,
  ): Promise<HealthServer> {
    const health = new HealthServer(metastore)
    const { host, port } = address
    await new Promise<void>((resolve, reject) => {
      health.#server.once('error', cause => {
        const message = `cannot listen at health ${host}:${port}: ${cause.message}`
        reject(new MetastoreError('UNAVAILABLE', message, { cause }))
      })
      health.#server.listen(port, host, resolve)
    })
    return health
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves when every connection is closed. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { code, body } = await this.#answer(request)
    response.writeHead(code, { 'content-type': 'application/json' })
    response.end(`${JSON.stringify(body)}\n`)
  }

  async #answer({ method, url = '' }: IncomingMessage): Promise<Answer> {
    const [path] = url.split('?')
    if (path !== '/healthz' && path !== '/status') {
      return { code: 404, body: { error: `${path} is not here: /healthz, /status` } }
    }
    if (method !== 'GET' && method !== 'HEAD') {
      return { code: 405, body: { error: `method must be GET, not ${method}` } }
    }
    const metastore = this.#metastore()
    if (metastore === undefined) return { code: 503, body: { state: 'opening' } }
    try {
      const status = await metastore.status()
      return path === '/status' ? { code: 200, body: status } : healthOf(status.partitions)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      return { code: 503, body: { state: 'failed', error: message } }
    }
  }
}

function healthOf(partitions: readonly PartitionStatus[]): Answer {
  const withoutLeader = partitions
    .filter(({ role, leader }) => role !== 'none' && leader === null)
    .map(({ partition }) => partition)
  const isHealthy = withoutLeader.length === 0
  return {
    code: isHealthy ? 200 : 503,
    body: { state: isHealthy ? 'ok' : 'waiting for leaders', withoutLeader },
  }
}
