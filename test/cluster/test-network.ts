/**
 * The wires between the nodes of a test: a small proxy for each direction, which can be cut. A cut
 * ends the connections that there are, and refuses new ones, until it heals.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

const HOST = '127.0.0.1'

/** From one node to another, as the first one dials. */
class Wire {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  isCut = false

  constructor(targetPort: number) {
    this.#server = createServer(incoming => {
      if (this.isCut) {
        incoming.destroy()
        return
      }
      const outgoing = connect(targetPort, HOST)
      for (const [socket, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ]) {
        this.#sockets.add(socket)
        socket.setNoDelay(true)
        socket.on('error', () => {})
        socket.on('close', () => {
          this.#sockets.delete(socket)
          other.destroy()
        })
        socket.pipe(other)
      }
    })
  }

  listen(): Promise<void> {
    return new Promise(resolve => this.#server.listen(0, HOST, resolve))
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  cut(): void {
    this.isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): Promise<void> {
    this.cut()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }
}

export class TestNetwork {
  readonly #wires = new Map<string, Wire>()

  /** @param ports where nodes 1, 2, ... listen */
  static async between(ports: readonly number[]): Promise<TestNetwork> {
    const network = new TestNetwork()
    for (const from of ports.keys()) {
      for (const [to, port] of ports.entries()) {
        const wire = new Wire(port)
        network.#wires.set(`${from + 1} ${to + 1}`, wire)
        await wire.listen()
      }
    }
    return network
  }

  /** Where `from` dials to reach `to`. */
  portFor(from: number, to: number): number {
    return this.#wires.get(`${from} ${to}`)?.port ?? 0
  }

  /** Nothing goes between these nodes and all others any more. */
  cutOff(...nodes: readonly number[]): void {
    for (const [name, wire] of this.#wires) {
      const ends = name.split(' ').filter(node => nodes.includes(Number(node)))
      if (ends.length === 1) wire.cut()
    }
  }

  heal(): void {
    for (const wire of this.#wires.values()) wire.isCut = false
  }

  async close(): Promise<void> {
    await Promise.all([...this.#wires.values()].map(wire => wire.close()))
  }
}
