/**
 * The wires between the nodes of a test: a small proxy for each direction, which can be cut or slow.
 * A cut ends the connections that there are, and refuses new ones, until it heals; a slow wire keeps
 * them, and passes on few bytes or none.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Flow } from './flow.ts'

const HOST = '127.0.0.1'
/** A slow wire passes on its share so often. */
const PASS_MS = 20

/** From one node to another, as the first one dials. */
class Wire {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #flows = new Set<Flow>()
  isCut = false
  /** Of each direction of a connection. */
  #bytesPerSecond = Number.POSITIVE_INFINITY

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
        const flow = new Flow(socket, other, this.#isSlow)
        this.#flows.add(flow)
        this.#sockets.add(socket)
        socket.setNoDelay(true)
        socket.on('error', () => {})
        socket.on('close', () => {
          this.#flows.delete(flow)
          this.#sockets.delete(socket)
          other.destroy()
        })
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

  get #isSlow(): boolean {
    return this.#bytesPerSecond !== Number.POSITIVE_INFINITY
  }

  slowDown(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
    for (const flow of this.#flows) flow.slowDown()
  }

  /** The share of PASS_MS, if it is slow. */
  pass(): void {
    if (!this.#isSlow) return
    const bytes = Math.ceil((this.#bytesPerSecond * PASS_MS) / 1000)
    for (const flow of this.#flows) flow.pass(bytes)
  }

  get waitingBytes(): number {
    return [...this.#flows].reduce((sum, flow) => sum + flow.waitingBytes, 0)
  }

  heal(): void {
    this.isCut = false
    this.#bytesPerSecond = Number.POSITIVE_INFINITY
    for (const flow of this.#flows) flow.heal()
  }

  close(): Promise<void> {
    this.cut()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }
}

export class TestNetwork {
  readonly #wires = new Map<string, Wire>()
  readonly #passing = setInterval(() => {
    for (const wire of this.#wires.values()) wire.pass()
  }, PASS_MS)

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
    for (const wire of this.#wiresOf(nodes)) wire.cut()
  }

  /**
   * What goes between these nodes and all others waits on its way.
   * @param bytesPerSecond that get through, of each direction of a connection; 0: nothing does
   */
  slowDown(bytesPerSecond: number, ...nodes: readonly number[]): void {
    for (const wire of this.#wiresOf(nodes)) wire.slowDown(bytesPerSecond)
  }

  /** What waits on the connection that `from` has made to `to`. */
  waitingBytes(from: number, to: number): number {
    return this.#wires.get(`${from} ${to}`)?.waitingBytes ?? 0
  }

  heal(): void {
    for (const wire of this.#wires.values()) wire.heal()
  }

  /** Between one of these and one that is not. */
  #wiresOf(nodes: readonly number[]): Wire[] {
    return [...this.#wires].flatMap(([name, wire]) => {
      const ends = name.split(' ').filter(node => nodes.includes(Number(node)))
      return ends.length === 1 ? [wire] : []
    })
  }

  async close(): Promise<void> {
    clearInterval(this.#passing)
    await Promise.all([...this.#wires.values()].map(wire => wire.close()))
  }
}
