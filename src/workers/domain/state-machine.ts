/**
 * The state machine of a domain: turns a write request into a batch of final rows and an answer,
 * or refuses it. Pure: it reads a view, appends to a batch, and takes clock and ids as arguments.
 */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { corruption } from '../../codec/errors.ts'
import { TP_BYTES } from '../../codec/keys.ts'
import { UUID_BYTES } from '../../codec/uuid.ts'
import {
  getAddObjects,
  getCompactObjects,
  getRecords,
  getReplaceObjects,
} from '../../shared/writes/parts.ts'
import { WRITE_KIND } from '../../shared/writes/write-kinds.ts'
import { addObjects } from './add-objects.ts'
import { expireObjects, forgetObjects } from './collect-objects.ts'
import { commitCompaction, compactObjects } from './compact-objects.ts'
import { preregisterObjects } from './preregister-objects.ts'
import { writeRecords } from './records.ts'
import { removeTopics } from './remove-topics.ts'
import { replaceObjects } from './replace-objects.ts'
import type { RequestLedger } from './request-ledger.ts'
import { setStartOffset } from './truncation.ts'
import type { WriteContext } from './write-context.ts'

/**
 * Reads u8 has request id | [16 request id] | u8 kind | arguments, appends the rows to the
 * context's batch and the answer to `out`.
 * @throws MetastoreError when the request is refused; the batch is then to be thrown away
 */
export function executeWrite(
  context: WriteContext,
  ledger: RequestLedger,
  reader: ByteReader,
  out: ByteWriter,
): void {
  const requestId = reader.u8() === 1 ? reader.raw(UUID_BYTES) : undefined
  const kind = reader.u8()
  if (requestId === undefined) {
    execute(context, kind, reader, out)
    return
  }
  const known = ledger.answerTo(context, requestId, kind)
  if (known !== undefined) {
    out.raw(known)
    return
  }
  const start = out.length
  execute(context, kind, reader, out)
  ledger.store(context, requestId, kind, out.bytes.slice(start, out.length))
}

function execute(context: WriteContext, kind: number, reader: ByteReader, out: ByteWriter): void {
  switch (kind) {
    case WRITE_KIND.preregisterObjects:
      preregisterObjects(context, reader.varint(), out)
      break
    case WRITE_KIND.addObjects:
      addObjects(context, getAddObjects(reader), out)
      break
    case WRITE_KIND.replaceObjects:
      replaceObjects(context, getReplaceObjects(reader))
      break
    case WRITE_KIND.compactObjects:
      compactObjects(context, getCompactObjects(reader))
      break
    case WRITE_KIND.commitCompaction:
      commitCompaction(context, getCompactObjects(reader))
      break
    case WRITE_KIND.setStartOffset:
      setStartOffset(context, reader.raw(TP_BYTES), reader.varint(), out)
      break
    case WRITE_KIND.removeTopics:
      removeTopics(context, getIds(reader), out)
      break
    case WRITE_KIND.records:
      writeRecords(context, getRecords(reader))
      break
    case WRITE_KIND.expireObjects:
      expireObjects(context, reader.varint(), getIds(reader), out)
      break
    case WRITE_KIND.forgetObjects:
      forgetObjects(context, getIds(reader), out)
      break
    default:
      throw corruption(`unknown kind of write ${kind}`)
  }
}

function getIds(reader: ByteReader): Uint8Array[] {
  const ids: Uint8Array[] = []
  while (reader.remaining > 0) ids.push(reader.raw(UUID_BYTES))
  return ids
}
