/** Greeting: takes a handshake through a socket, and hands both over when it is done. */
import type { Socket } from 'node:net'
import { MetastoreError } from '../../codec/errors.ts'
import { HANDSHAKE_FRAME_BYTES_MAX } from '../../codec/frame-format.ts'
import { FrameReader } from './frame-reader.ts'
import type { Handshake } from './handshake.ts'
import type { Refusal } from './incidents.ts'

export type GreetingOutcome =
  /** The reader may hold bytes that came right behind the handshake. */
  | { readonly peer: number; readonly reader: FrameReader }
  | { readonly refusal: Refusal; readonly why: string }

/**
 * Calls `settle` once: when the other side has proved who it is, is refused, or has closed. The
 * caller has a timeout, listens for the socket's errors, and destroys it unless there is a peer;
 * with one, the socket is paused.
 */
export function greet(
  socket: Socket,
  handshake: Handshake,
  settle: (outcome: GreetingOutcome) => void,
): void {
  const reader = new FrameReader(HANDSHAKE_FRAME_BYTES_MAX)
  const finish = (outcome: GreetingOutcome): void => {
    socket.off('data', onData)
    socket.off('close', onClose)
    socket.pause()
    settle(outcome)
  }
  const onClose = (): void => finish({ refusal: 'closedEarly', why: 'it has closed' })
  const onData = (chunk: Uint8Array): void => {
    reader.push(chunk)
    const outcome = advance(socket, handshake, reader)
    if (outcome !== undefined) finish(outcome)
  }
  socket.on('data', onData)
  socket.on('close', onClose)
  if (handshake.opening !== undefined) socket.write(handshake.opening)
}

/** As far as the bytes that are there go. @returns undefined when more are needed */
function advance(
  socket: Socket,
  handshake: Handshake,
  reader: FrameReader,
): GreetingOutcome | undefined {
  try {
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const step = handshake.receive(frame)
      if ('refusal' in step) return step
      if (step.reply !== undefined) socket.write(step.reply)
      if (step.peer !== undefined) return { peer: step.peer, reader }
    }
    return undefined
  } catch (error) {
    if (!(error instanceof MetastoreError)) throw error
    return { refusal: 'malformed', why: error.message }
  }
}
