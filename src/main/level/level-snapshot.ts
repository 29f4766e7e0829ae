/** abstract-level's snapshots: one of the partition's records. */
import { AbstractSnapshot } from 'abstract-level'
import type { RecordSnapshot } from '../record-snapshot.ts'

export class LevelSnapshot extends AbstractSnapshot {
  readonly records: RecordSnapshot

  /** @param options abstract-level's, which say who owns it */
  constructor(options: object, records: RecordSnapshot) {
    // Its declaration has no constructor; the owner is an option that sublevels need.
    super(...([options] as unknown as []))
    this.records = records
  }

  async _close(): Promise<void> {
    this.records.release()
  }
}
