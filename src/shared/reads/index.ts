/** All reads, by the number that stands for each in a request. */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { putAnswer } from '../messages.ts'
import type { ReadView } from '../read-view.ts'
import { getCompactionInfo, getLevelingInfo } from './compaction-reads.ts'
import {
  findByOffset,
  findByOffsets,
  findByTimestamp,
  getOffsetForBytes,
  listExtents,
} from './extent-reads.ts'
import { getObjectStates, scanCollectable } from './object-reads.ts'
import { getOffsets, getSize, listPartitions } from './partition-reads.ts'
import type { Read } from './read.ts'
import { getRecord, getRecords, scanRecords } from './record-reads.ts'
import { getEndOffsetForTerm, getTermForOffset } from './term-reads.ts'

interface ReadTable {
  getOffsets: typeof getOffsets
  getSize: typeof getSize
  listPartitions: typeof listPartitions
  findByOffset: typeof findByOffset
  findByOffsets: typeof findByOffsets
  findByTimestamp: typeof findByTimestamp
  getOffsetForBytes: typeof getOffsetForBytes
  listExtents: typeof listExtents
  getTermForOffset: typeof getTermForOffset
  getEndOffsetForTerm: typeof getEndOffsetForTerm
  getCompactionInfo: typeof getCompactionInfo
  getLevelingInfo: typeof getLevelingInfo
  getRecord: typeof getRecord
  getRecords: typeof getRecords
  scanRecords: typeof scanRecords
  scanCollectable: typeof scanCollectable
  getObjectStates: typeof getObjectStates
}

export const READS: ReadTable = {
  getOffsets,
  getSize,
  listPartitions,
  findByOffset,
  findByOffsets,
  findByTimestamp,
  getOffsetForBytes,
  listExtents,
  getTermForOffset,
  getEndOffsetForTerm,
  getCompactionInfo,
  getLevelingInfo,
  getRecord,
  getRecords,
  scanRecords,
  scanCollectable,
  getObjectStates,
}

export type ReadName = keyof ReadTable
export type ArgumentsOf<N extends ReadName> = Parameters<ReadTable[N]['encode']>[1]
export type ResultOf<N extends ReadName> = ReturnType<ReadTable[N]['decode']>

const NAMES = Object.keys(READS) as ReadName[]
const BY_NUMBER: readonly Pick<Read<never, unknown>, 'answer'>[] = NAMES.map(name => READS[name])
const NUMBER_OF: Readonly<Record<ReadName, number>> = Object.fromEntries(
  NAMES.map((name, number) => [name, number]),
) as Record<ReadName, number>

/** Appends u8 read | its arguments. */
export function putRead<N extends ReadName>(out: ByteWriter, name: N, args: ArgumentsOf<N>): void {
  out.u8(NUMBER_OF[name])
  const read = READS[name] as unknown as Read<ArgumentsOf<N>, unknown>
  read.encode(out, args)
}

/** Reads what putRead() wrote, appends the answer. Any thread that can see the view. */
export function answerRead(view: ReadView, reader: ByteReader, out: ByteWriter): void {
  const read = BY_NUMBER[reader.u8()]
  putAnswer(out, answer => read.answer(view, reader, answer))
}

export function decodeRead<N extends ReadName>(name: N, reader: ByteReader): ResultOf<N> {
  return READS[name].decode(reader) as ResultOf<N>
}
