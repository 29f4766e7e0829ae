/**
 * A real DomainHandle whose worker is the test: it sees every request that main sends, in order, and
 * answers when it likes.
 */
import { ByteReader, ByteWriter } from '../../../src/codec/bytes.ts'
import type { MetastoreError } from '../../../src/codec/errors.ts'
import { RowBatchBuilder } from '../../../src/codec/row-batch.ts'
import { type Call, Calls } from '../../../src/main/calls.ts'
import { DomainHandle } from '../../../src/main/domain-handle.ts'
import type { CachedBlocks } from '../../../src/main/storage/cached-blocks.ts'
import type { TableStore } from '../../../src/main/storage/table-store.ts'
import type { WorkerLink } from '../../../src/main/worker-link.ts'
import type { Control } from '../../../src/shared/control.ts'
import { type MemtableMessage, putErrorAnswer, REQUEST } from '../../../src/shared/messages.ts'
import { Version } from '../../../src/shared/version.ts'

export const DOMAIN_UUID = '00000000-0000-4000-8000-000000000007'
export const MEMTABLE_BYTES_MAX = 65_536

interface Sent {
  readonly kind: number
  readonly bytes: Uint8Array
  readonly call: number
}

/** Main's end of a worker that answers nothing by itself. */
export class FakeWorker {
  readonly calls: Calls = new Calls()
  /** Not answered or looked at yet, oldest first. */
  readonly sent: Sent[] = []
  readonly posted: MemtableMessage[] = []
  #isBacklogged = false
  /** How often somebody has asked. */
  looks = 0
  #onDrained: (() => void)[] = []
  readonly #out = new ByteWriter()
  #begun = { kind: 0, number: 0 }

  get isBacklogged(): boolean {
    this.looks++
    return this.#isBacklogged
  }

  set isBacklogged(value: boolean) {
    this.#isBacklogged = value
    if (!value) for (const tell of this.#onDrained.splice(0)) tell()
  }

  drained(): Promise<void> {
    return new Promise(resolve => this.#onDrained.push(resolve))
  }

  admit(): void {}

  begin(kind: number, _domain: number, call: Call | undefined): ByteWriter {
    this.#begun = { kind, number: call === undefined ? 0 : this.calls.add(call) }
    return this.#out.reset()
  }

  send(): void {
    const { kind, number } = this.#begun
    this.sent.push({ kind, call: number, bytes: this.#out.view().slice() })
  }

  take(number: number): Call {
    return this.calls.take(number)
  }

  postMemtable(message: MemtableMessage): void {
    this.posted.push(message)
  }

  get kinds(): string[] {
    const names = Object.entries(REQUEST)
    return this.sent.map(({ kind }) => names.find(([, value]) => value === kind)?.[0] ?? '')
  }
}

export class FakeDomain {
  readonly worker: FakeWorker = new FakeWorker()
  readonly domain: DomainHandle
  /** Sequences that became visible. */
  readonly visible: number[] = []

  constructor() {
    const { worker, visible } = this
    const tables = { versionOf: () => Version.EMPTY, removeGone: () => {} }
    this.domain = new DomainHandle({
      number: 0,
      uuid: DOMAIN_UUID,
      link: worker as unknown as WorkerLink,
      control: {
        advanceVisible: (_: number, sequence: number) => visible.push(sequence),
      } as unknown as Control,
      memtableBytesMax: MEMTABLE_BYTES_MAX,
      readsHere: false,
      memtables: [1, 2].map(id => ({ id, memory: new SharedArrayBuffer(MEMTABLE_BYTES_MAX * 2) })),
      tables: tables as unknown as TableStore,
      blocks: {} as CachedBlocks,
    })
  }

  /** Carries out what was sent, but writes and reads, which stay. */
  async work(): Promise<void> {
    for (let isBusy = true; isBusy; ) {
      const due = this.worker.sent.filter(
        ({ kind }) => kind !== REQUEST.write && kind !== REQUEST.read,
      )
      const left = this.worker.sent.filter(sent => !due.includes(sent))
      this.worker.sent.splice(0, this.worker.sent.length, ...left)
      for (const { call } of due) {
        if (call !== 0) this.domain.onManaged(call, new ByteReader(new Uint8Array([0]), 'done'))
      }
      await new Promise(setImmediate)
      isBusy = due.length > 0
    }
  }

  write(): Promise<string> {
    return this.domain.write(
      () => {},
      () => 'written',
    )
  }

  /** The worker answers the oldest write with a batch. */
  propose(sequence: number): void {
    const call = this.#takeOldest(REQUEST.write)
    const out = new ByteWriter()
      .varint(sequence)
      .blob(new Uint8Array([0]))
      .raw(batch(sequence))
    this.domain.onProposal(call, new ByteReader(out.take(), 'proposal'))
  }

  /** The worker answers the oldest write, which changed nothing at `sequence`. */
  answer(sequence: number, error?: MetastoreError): void {
    const out = new ByteWriter().varint(sequence)
    if (error === undefined) out.u8(0)
    else putErrorAnswer(out, error)
    this.domain.onAnswer(this.#takeOldest(REQUEST.write), new ByteReader(out.take(), 'answer'))
  }

  /** The worker refuses a call. */
  refuse(call: number, error: MetastoreError): void {
    const out = new ByteWriter().varint(0)
    putErrorAnswer(out, error)
    this.domain.onAnswer(call, new ByteReader(out.take(), 'answer'))
  }

  #takeOldest(kind: number): number {
    const at = this.worker.sent.findIndex(sent => sent.kind === kind)
    if (at < 0) throw new Error(`no request of kind ${kind} was sent`)
    return this.worker.sent.splice(at, 1)[0].call
  }
}

/** A row batch of one row. */
export function batch(sequence: number): Uint8Array {
  const rows = new RowBatchBuilder().begin(new Uint8Array(16), sequence)
  rows.put(new Uint8Array([1]), new Uint8Array([sequence % 256]))
  return rows.finish().slice()
}
