/** Members of a cluster for the bench of the network: one here, one on a thread of its own. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { TransportHandlers } from '../src/main/net/context.ts'
import { Transport } from '../src/main/net/transport.ts'

export const BENCH_NODE = 1
export const THREAD_NODE = 2
/** Answered with its own payload. */
export const ECHO = 1
/** Answered with how many messages have come before it, as a u32, and their hash, another. */
export const COUNT = 2

function ignore(): void {}

/** A member on loopback, at any free port. */
export function startMember(nodeId: number, handlers: TransportHandlers): Promise<Transport> {
  return Transport.listen(
    {
      ...{ clusterId: '00112233-4455-4677-8899-aabbccddeeff', nodeId, secret: 'of the bench' },
      listen: { host: '127.0.0.1', port: 0 },
      logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    },
    handlers,
  )
}

export class MemberThread {
  readonly #worker = new Worker(new URL('./network-member-thread.js', import.meta.url))

  /** Resolves with its port, once it listens. */
  async port(): Promise<number> {
    const [port] = (await once(this.#worker, 'message')) as [number]
    return port
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}
