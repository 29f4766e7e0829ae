/** A Replica over a log in memory, and a domain whose worker is the test (fake-domain.ts). */
import { ByteWriter } from '../../../src/codec/bytes.ts'
import { encodeManifest, type Manifest } from '../../../src/codec/manifest.ts'
import type { Entry } from '../../../src/main/raft/entry.ts'
import type { GroupLog } from '../../../src/main/replication/group-log.ts'
import { Replica } from '../../../src/main/replication/replica.ts'
import { ENTRY_KIND, type ReplicatedLog } from '../../../src/main/replication/replicated-log.ts'
import { batch, DOMAIN_UUID, FakeDomain } from './fake-domain.ts'

export function manifestOf(fields: Partial<Manifest>): Uint8Array {
  return encodeManifest({
    clusterId: DOMAIN_UUID,
    domain: DOMAIN_UUID,
    epoch: 1,
    version: 1,
    parent: null,
    lastSequence: 0,
    lastIndex: 0,
    nextTableId: 1,
    createdAt: 0,
    compactionCursors: [],
    tables: [],
    ...fields,
  })
}

export class ReplicaFixture {
  readonly fake: FakeDomain = new FakeDomain()
  readonly entries: Entry[] = []
  /** Up to where the log is cut off. */
  cutIndex = 0
  readonly offered: { index: number; manifest: Uint8Array }[] = []
  readonly covered: number[] = []
  readonly leading: boolean[] = []
  readonly failures: unknown[] = []
  /** What the domain has proposed; indexes go on behind `entries`. */
  readonly proposed: { kind: number; index: number }[] = []
  readonly replica: Replica

  constructor(manifest?: Uint8Array, cutIndex = 0) {
    this.cutIndex = cutIndex
    const { fake, entries, offered, covered, leading, failures } = this
    const log = {
      firstIndex: () => this.cutIndex + 1,
      entries: (from: number, to: number) =>
        from <= this.cutIndex
          ? undefined
          : entries.filter(({ index }) => index >= from && index < to),
      offerSnapshot: (index: number, bytes: Uint8Array) => offered.push({ index, manifest: bytes }),
    }
    fake.domain.log = {
      term: () => 1,
      propose: (_: number, kind: number) => {
        const index = (entries.at(-1)?.index ?? this.cutIndex) + this.proposed.length + 1
        this.proposed.push({ kind, index })
        return index
      },
    } as unknown as ReplicatedLog
    this.replica = new Replica(
      {
        domain: fake.domain,
        log: log as unknown as GroupLog,
        patienceMs: 60_000,
        onLeading: isLeading => leading.push(isLeading),
        onCovered: index => covered.push(index),
        onCaughtUp: () => {},
        onFailure: error => failures.push(error),
      },
      manifest,
    )
    fake.domain.onLost = () => this.replica.onRefused()
  }

  /** Appends to the log; nothing is committed by it. */
  append(kind: number, payload: Uint8Array = new Uint8Array(0), term = 1): Entry {
    const index = (this.entries.at(-1)?.index ?? this.cutIndex) + 1
    const entry = { term, index, kind, payload }
    this.entries.push(entry)
    return entry
  }

  /** Appends and commits entries of other nodes: an empty one, rows of these sequences. */
  commit(...sequences: number[]): void {
    const entries = sequences.map(sequence =>
      sequence === 0 ? this.append(0) : this.append(ENTRY_KIND.rows, batch(sequence)),
    )
    this.replica.onCommitted(entries)
  }

  freeze(sequence: number): void {
    const payload = new ByteWriter(8).u64(sequence).take()
    this.replica.onCommitted([this.append(ENTRY_KIND.freeze, payload)])
  }

  /** What the domain has proposed is appended and committed. */
  commitProposed(sequences: readonly number[]): void {
    const entries = this.proposed.map(({ kind }, i) => this.append(kind, batch(sequences[i])))
    this.proposed.length = 0
    this.replica.onCommitted(entries)
  }

  /** This node is elected and ready. */
  async lead(term = 1): Promise<void> {
    this.replica.onRole('leader', term)
    this.replica.onCommitted([this.append(0, new Uint8Array(0), term)])
    await this.fake.work()
    if (!this.replica.isLeading) throw new Error('it does not lead')
  }
}
