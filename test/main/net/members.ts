/** Transports on loopback for tests, which keep what they are given; and sockets of strangers. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FRAME_BYTES_MAX, type Frame } from '../../../src/codec/frame-format.ts'
import type { GroupMessage } from '../../../src/codec/raft-messages.ts'
import type { IncomingRequest } from '../../../src/main/net/context.ts'
import type { FrameReader } from '../../../src/main/net/frame-reader.ts'
import { type GreetingOutcome, greet } from '../../../src/main/net/greeting.ts'
import {
  AcceptorHandshake,
  type Handshake,
  InitiatorHandshake,
} from '../../../src/main/net/handshake.ts'
import type { Incident } from '../../../src/main/net/incidents.ts'
import type { PeerAddress, TlsOptions, TransportOptions } from '../../../src/main/net/options.ts'
import { Transport } from '../../../src/main/net/transport.ts'
import { message } from '../../../src/main/raft/message.ts'

export const CLUSTER = '00112233-4455-4677-8899-aabbccddeeff'
export const SECRET = 'a secret of the tests'
export const HOST = '127.0.0.1'
const CERTIFICATES = 'test/main/net/certificates'
/** Requests of this kind are answered at once with their own payload. */
export const ECHO = 1
/** Others are kept until the test answers them. */
export const HELD = 2

/** What a test that fails would leave open, and the process would not end. */
const leftovers: (() => unknown)[] = []

/** After each test. Closing twice does no harm. */
export async function cleanUp(): Promise<void> {
  await Promise.all(leftovers.splice(0).map(close => close()))
}

export class Member {
  readonly nodeId: number
  readonly messages: (GroupMessage & { peer: number })[] = []
  readonly held: IncomingRequest[] = []
  readonly links: [peer: number, isUp: boolean][] = []
  readonly warnings: { incident?: string; times?: number; why?: string }[] = []
  #transport: Transport | undefined

  private constructor(nodeId: number) {
    this.nodeId = nodeId
  }

  static async start(nodeId: number, options: Partial<TransportOptions> = {}): Promise<Member> {
    const member = new Member(nodeId)
    const logger = {
      debug() {},
      info() {},
      error() {},
      warn: (d: object) => member.warnings.push(d),
    }
    const own = { clusterId: CLUSTER, nodeId, listen: { host: HOST, port: 0 }, secret: SECRET }
    member.#transport = await Transport.listen(
      { ...own, logger, ...options },
      {
        onMessages: (peer, messages) => {
          for (const received of messages) member.messages.push({ peer, ...received })
        },
        onRequest: request => {
          if (request.kind === ECHO) request.respond(request.payload)
          else member.held.push(request)
        },
        onLink: (peer, isUp) => member.links.push([peer, isUp]),
      },
    )
    leftovers.push(() => member.transport.close())
    return member
  }

  get transport(): Transport {
    assert.ok(this.#transport !== undefined)
    return this.#transport
  }

  get address(): PeerAddress {
    return { host: HOST, port: this.transport.port }
  }

  count(incident: Incident): number {
    return this.transport.counters().incidents[incident]
  }

  /** A message without content but its term, to a member. */
  say(to: number, term: number, group = 0): boolean {
    return this.transport.send(group, message('timeoutNow', to, { from: this.nodeId, term }))
  }

  async ask(peer: number, kind: number, text = '', timeoutMs = 10_000): Promise<string> {
    const payload = new TextEncoder().encode(text)
    const answer = await this.transport.request(peer, kind, payload, timeoutMs)
    return new TextDecoder().decode(answer)
  }
}

/** Everybody knows everybody, and all connections are there. */
export async function connectAll(members: readonly Member[]): Promise<void> {
  const peers = new Map(members.map(({ nodeId, address }) => [nodeId, address]))
  for (const { transport } of members) transport.setPeers(peers)
  await until(() => members.every(member => linksUp(member) === members.length - 1))
}

export async function closeAll(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(({ transport }) => transport.close()))
}

function linksUp({ links }: Member): number {
  return [...new Map(links).values()].filter(isUp => isUp).length
}

/** Waits for what must come; a test that waits in vain fails. */
export async function until(isSo: () => boolean, what = 'what is waited for'): Promise<void> {
  const endsAtMs = performance.now() + 20_000
  while (!isSo()) {
    assert.ok(performance.now() < endsAtMs, `${what} does not come: ${isSo}`)
    await sleep(2)
  }
}

/** A socket of somebody who is no member. */
export class Stranger {
  readonly socket: Socket
  readonly received: Uint8Array[] = []
  isClosed = false

  constructor(port: number) {
    this.socket = connect({ host: HOST, port })
    leftovers.push(() => this.socket.destroy())
    this.socket.on('data', chunk => this.received.push(chunk))
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
  }

  get receivedBytes(): number {
    return this.received.reduce((sum, { length }) => sum + length, 0)
  }

  closed(): Promise<void> {
    return until(() => this.isClosed, 'the end of the connection')
  }
}

/** A member that is only a socket: what it sends and reads, the test decides. It is paused. */
export interface RawMember {
  readonly socket: Socket
  readonly reader: FrameReader
}

function greeted(socket: Socket, handshake: Handshake): Promise<RawMember> {
  leftovers.push(() => socket.destroy())
  socket.on('error', () => {})
  return new Promise((resolve, reject) => {
    greet(socket, handshake, (outcome: GreetingOutcome) => {
      if ('refusal' in outcome) return reject(new Error(`${outcome.refusal}: ${outcome.why}`))
      outcome.reader.frameBytesMax = FRAME_BYTES_MAX
      resolve({ socket, reader: outcome.reader })
    })
  })
}

const nonces = (): Uint8Array => randomBytes(32)

/**
 * Connects to a member, as `nodeId`.
 * @param behindProof goes out in one piece with the proof, before there is a welcome
 */
export function connectRaw(
  nodeId: number,
  to: Member,
  behindProof: Uint8Array = new Uint8Array(0),
): Promise<RawMember> {
  const identity = { clusterId: CLUSTER, nodeId, secret: SECRET }
  const handshake = new InitiatorHandshake(identity, to.nodeId, nonces)
  const { opening } = handshake
  return greeted(connect(to.address), {
    opening,
    receive: frame => {
      const step = handshake.receive(frame)
      if (!('reply' in step) || step.reply === undefined) return step
      return { reply: Buffer.concat([step.reply, behindProof]) }
    },
  })
}

/** Listens as `nodeId`; each connection of a member is given to `onMember`. */
export async function listenRaw(
  nodeId: number,
  onMember: (member: RawMember) => void,
): Promise<{ server: Server; address: PeerAddress }> {
  const identity = { clusterId: CLUSTER, nodeId, secret: SECRET }
  const server = createServer(socket => {
    // One that is closed before it is through is of no interest.
    greeted(socket, new AcceptorHandshake(identity, nonces)).then(onMember, () => {})
  })
  leftovers.push(() => server.close())
  await new Promise<void>(resolve => server.listen(0, HOST, () => resolve()))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { server, address: { host: HOST, port: address.port } }
}

/** Reads from now on, and keeps the frames. */
export function framesOf({ socket, reader }: RawMember): Frame[] {
  const frames: Frame[] = []
  const take = (): void => {
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame)
  }
  take()
  socket.on('data', chunk => {
    reader.push(chunk)
    take()
  })
  socket.resume()
  return frames
}

/** 'member' or, signed by another authority, 'other-member' (certificates/make.sh). */
export function tlsOf(name: 'member' | 'other-member'): TlsOptions {
  return { key: pem(`${name}.key`), cert: pem(`${name}.pem`), ca: pem('authority.pem') }
}

function pem(file: string): string {
  return readFileSync(join(projectRoot(import.meta.dirname), CERTIFICATES, file), 'utf8')
}

/** The compiled tests are in a folder of their own, the certificates are not. */
function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}
