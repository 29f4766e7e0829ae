/** The body of an answer, read whole. */
import { Readable } from 'node:stream'

/** What the SDK gives of an answer with a body. */
export interface S3Answer {
  readonly Body?: unknown
  readonly ContentLength?: number | undefined
}

/**
 * @throws when the connection ends before the body does, when the body is not what its checksum
 *   says, or when the signal aborts
 */
export async function readBody(
  { Body: body, ContentLength: sizeBytes = 0 }: S3Answer,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (!(body instanceof Readable)) throw new Error('the answer has no body')
  const stop = (): void => {
    body.destroy()
  }
  signal?.addEventListener('abort', stop)
  try {
    const bytes = new Uint8Array(sizeBytes)
    let filled = 0
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      // Throws a RangeError for more bytes than were announced.
      bytes.set(chunk, filled)
      filled += chunk.length
    }
    if (filled < sizeBytes) throw new Error(`the body ended at ${filled} of ${sizeBytes} bytes`)
    return bytes
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
