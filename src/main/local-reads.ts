/** Reads on the main thread: encode, answer and decode as through the ring, but on the spot. */
import { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'
import { getAnswer } from '../shared/messages.ts'
import {
  type ArgumentsOf,
  answerRead,
  decodeRead,
  putRead,
  type ReadName,
  type ResultOf,
} from '../shared/reads/index.ts'
import type { Snapshot } from '../shared/snapshot.ts'
import type { MainBlocks } from './storage/cached-blocks.ts'

export class LocalReads {
  readonly #scratch = new ByteWriter(4096)

  /**
   * Answers over a view, which is released.
   * @returns undefined when the read needs what `blocks` does not have
   * @throws what the read throws
   */
  answer<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    view: Snapshot,
    blocks: MainBlocks,
  ): { result: ResultOf<N> } | undefined {
    const out = this.#scratch.reset()
    putRead(out, name, args)
    const answerStart = out.length
    // The request's bytes stay readable while the answer is appended: growing copies them.
    const request = new ByteReader(out.bytes, 'request', 0, answerStart)
    const isAnswered = blocks.answer(() => answerRead(view, request, out))
    view.release()
    if (!isAnswered) return undefined
    const outcome = getAnswer(
      new ByteReader(out.bytes, 'answer', answerStart, out.length),
      reader => decodeRead(name, reader),
    )
    if (outcome instanceof MetastoreError) throw outcome
    return { result: outcome }
  }
}
