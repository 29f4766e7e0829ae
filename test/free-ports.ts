/** Ports of the loopback that are free now. */
import { createServer } from 'node:net'

/** Below those that systems give to outgoing connections: a node that is opened again finds its own. */
const PORT_LEAST = 10_000
const PORT_END = 32_000

export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = PORT_LEAST + Math.floor(Math.random() * (PORT_END - PORT_LEAST))
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
