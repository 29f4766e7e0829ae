/**
 * A domain as callers on any node see it: here when this node leads it, else at the node that does.
 * A call looks for the leader until its deadline, and is sent once more only when it is known that
 * nothing came of it, or when it is safe: a read, or a write with a request id.
 */
import { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { MetastoreError } from '../../codec/errors.ts'
import type { ReadOptions } from '../../shared/api.ts'
import {
  type ArgumentsOf,
  decodeRead,
  putRead,
  type ReadName,
  type ResultOf,
} from '../../shared/reads/index.ts'
import { unanswered } from '../calls.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { LiveSnapshot } from '../snapshot-registry.ts'
import { MEMBER_REQUEST } from './member-requests.ts'
import type { Members } from './members.ts'

export class RoutedDomain {
  readonly number: number
  /** This node's own replica. */
  readonly local: DomainHandle
  readonly #members: Members | undefined

  /** @param members undefined in a cluster of one */
  constructor(local: DomainHandle, members: Members | undefined) {
    this.number = local.number
    this.local = local
    this.#members = members
  }

  /**
   * Rejects with UNAVAILABLE when there is no leader within the deadline, INDETERMINATE when it is
   * not known whether the write has happened, and what the write itself is refused with.
   * @param isRepeatable the write has a request id
   */
  async write<T>(
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
    isRepeatable = false,
  ): Promise<T> {
    const members = this.#members
    if (members === undefined) return this.local.write(encode, decode)
    return members.call(this.number, isRepeatable, {
      here: () => this.local.write(encode, decode),
      there: async (leader, timeoutMs) => {
        const out = new ByteWriter(1024).varint(this.number)
        encode(out)
        const answer = await members
          .ask(leader, MEMBER_REQUEST.write, out.take(), timeoutMs)
          .catch(unansweredWrite)
        return decode(new ByteReader(answer, `answer of node ${leader}`))
      },
    })
  }

  /**
   * @param sequence of a live snapshot, which is of this node's replica
   */
  async read<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence?: number,
    consistency: ReadOptions['consistency'] = 'linearizable',
  ): Promise<ResultOf<N>> {
    const members = this.#members
    if (members === undefined || sequence !== undefined || consistency === 'stale') {
      return this.local.reads.read(name, args, sequence)
    }
    if (consistency === 'linearizable' && (await members.isConfirmedHere(this.number))) {
      return this.local.reads.read(name, args)
    }
    return members.call(this.number, true, {
      here: async () => {
        if (consistency === 'linearizable') await members.confirmed(this.number)
        return await this.local.reads.read(name, args)
      },
      there: async (leader, timeoutMs) => {
        const out = new ByteWriter(256).varint(this.number)
        putRead(out.u8(consistency === 'linearizable' ? 1 : 0), name, args)
        const answer = await members
          .ask(leader, MEMBER_REQUEST.read, out.take(), timeoutMs)
          .catch(unansweredRead)
        return decodeRead(name, new ByteReader(answer, `answer of node ${leader}`))
      },
    })
  }

  /** See DomainReads; of this node's own replica. */
  readSync<N extends ReadName>(name: N, args: ArgumentsOf<N>, sequence?: number): ResultOf<N> {
    return this.local.reads.readSync(name, args, sequence)
  }

  takeSnapshot(): LiveSnapshot {
    return this.local.reads.takeSnapshot()
  }
}

/** This node was closed while it waited: the leader may have done it. */
function unansweredWrite(error: unknown): never {
  if (!(error instanceof MetastoreError) || error.code !== 'CLOSED') throw error
  throw unanswered(true, error)
}

/** A read changes nothing, so nothing is in doubt. */
function unansweredRead(error: unknown): never {
  if (!(error instanceof MetastoreError) || error.code !== 'INDETERMINATE') throw error
  throw new MetastoreError('UNAVAILABLE', 'the leader did not answer the read', { cause: error })
}
