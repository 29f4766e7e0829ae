/** replaceObjects: rewrites ranges in place. Offsets, terms and the epoch stay as they are. */
import type { ReplaceObjectsPart } from '../../shared/writes/parts.ts'
import { replaceExtents } from './replace-extents.ts'
import { putPartition, type WriteContext } from './write-context.ts'

/** Answers nothing. */
export function replaceObjects(context: WriteContext, request: ReplaceObjectsPart): void {
  for (const { tp, row } of replaceExtents(context, request.partitions, request.objects)) {
    putPartition(context, tp, row)
  }
}
