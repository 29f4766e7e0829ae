/** How manifest edits and compaction jobs travel between main and a worker (shared/messages.ts). */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { getTable, putTable } from '../../codec/manifest.ts'
import { MANIFEST_EDIT } from '../../shared/messages.ts'
import type { CompactionJob } from './compaction-picker.ts'
import type { ManifestEdit } from './domain.ts'

export function readEdit(reader: ByteReader): ManifestEdit {
  const name = {
    epoch: reader.varint(),
    version: reader.varint(),
    nextTableId: reader.varint(),
    createdAt: reader.varint(),
  }
  const flushed =
    reader.u8() === MANIFEST_EDIT.flush
      ? { lastSequence: reader.varint(), lastIndex: reader.varint() }
      : undefined
  const tables = Array.from({ length: reader.varint() }, () => getTable(reader))
  return { ...name, flushed, tables }
}

export function putJob(out: ByteWriter, job: CompactionJob | undefined): void {
  if (job === undefined) {
    out.u8(0)
    return
  }
  out
    .u8(1)
    .u8(job.isMove ? 1 : 0)
    .varint(job.outputLevel)
    .varint(job.inputs.length)
  for (const table of job.inputs) putTable(out, table)
  out.varint(job.below.length)
  for (const { smallest, greatest } of job.below) out.blob(smallest).blob(greatest)
}
