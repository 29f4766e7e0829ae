/**
 * Outbox: what one connection is to send. Everything of one turn of the event loop goes to the
 * socket in one write, and the Raft messages of the turn, of all groups, in one frame.
 */
import type { Socket } from 'node:net'
import { RaftBatchWriter } from '../../codec/raft-batch-writer.ts'
import type { WireMessage } from '../../codec/raft-messages.ts'
import type { Traffic } from './traffic.ts'

/** Told when its frame goes to the socket; one that is settled before is not sent at all. */
export interface Sendable {
  readonly isSettled: boolean
  isSent: boolean
}

interface Outgoing {
  readonly frame: Uint8Array
  readonly request: Sendable | undefined
}

export class Outbox {
  readonly #socket: Socket
  readonly #self: number
  readonly #traffic: Traffic
  #queue: Outgoing[] = []
  #queuedBytes = 0
  #batch: RaftBatchWriter | undefined
  #isFlushOrdered = false
  /** Writes that the system has taken since hasMoved() was asked. */
  #writesTaken = 0
  /** Whether some had to wait then. */
  #wasStuck = false
  readonly #onWritten = (): void => {
    this.#writesTaken++
  }

  /** @param self the id of this node */
  constructor(socket: Socket, self: number, traffic: Traffic) {
    this.#socket = socket
    this.#self = self
    this.#traffic = traffic
  }

  /** What waits here and in the socket, in bytes. */
  get backlogBytes(): number {
    return this.#queuedBytes + (this.#batch?.bytes ?? 0) + this.#socket.writableLength
  }

  /**
   * Whether the other side has taken anything since this was asked before. Only writes that had to
   * wait tell: others go into the system's buffers, and would if nobody were there.
   */
  hasMoved(): boolean {
    const hasMoved = this.#wasStuck && this.#writesTaken > 0
    this.#writesTaken = 0
    this.#wasStuck = this.#socket.writableLength > 0
    return hasMoved
  }

  /** @throws INVALID_REQUEST for a message that does not fit; what was there stays */
  addMessage(group: number, message: WireMessage): void {
    this.#orderFlush()
    if (this.#batch?.isFull === true) this.#finishBatch()
    try {
      this.#batch ??= new RaftBatchWriter(this.#self)
      this.#batch.add(group, message)
    } catch (error) {
      if (this.#batch === undefined || this.#batch.isEmpty) throw error
      // It may only have been too large for what was left of the frame.
      this.#finishBatch()
      this.addMessage(group, message)
    }
  }

  addFrame(frame: Uint8Array, request?: Sendable): void {
    this.#orderFlush()
    this.#enqueue(frame, request)
  }

  /** Hands everything to the socket. */
  flush(): void {
    this.#finishBatch()
    const queue = this.#queue
    this.#queue = []
    this.#queuedBytes = 0
    if (this.#socket.destroyed) return
    this.#socket.cork()
    for (const { frame, request } of queue) {
      if (request?.isSettled === true) continue
      if (request !== undefined) request.isSent = true
      this.#traffic.framesSent++
      this.#traffic.bytesSent += frame.length
      this.#socket.write(frame, this.#onWritten)
    }
    this.#socket.uncork()
  }

  #finishBatch(): void {
    const batch = this.#batch
    this.#batch = undefined
    if (batch !== undefined && !batch.isEmpty) this.#enqueue(batch.finish(), undefined)
  }

  #enqueue(frame: Uint8Array, request: Sendable | undefined): void {
    this.#queue.push({ frame, request })
    this.#queuedBytes += frame.length
  }

  /** After the turn's other callbacks, so that what they send is in the same write. */
  #orderFlush(): void {
    if (this.#isFlushOrdered) return
    this.#isFlushOrdered = true
    setImmediate(() => {
      this.#isFlushOrdered = false
      this.flush()
    })
  }
}
