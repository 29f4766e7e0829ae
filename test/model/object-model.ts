/** One object's row: its accounting, and what a repeated addObjects is answered from. */
import type { AddObjectsResult, NewObject } from '../../src/shared/api.ts'
import { keyOf } from './domains.ts'

export type ObjectState = 'preregistered' | 'committed' | 'expired'
export type CommitKind = 'addObjects' | 'replaceObjects' | 'compactObjects'

export interface Commit {
  kind: CommitKind
  /** The same for all objects that one domain committed together. */
  sequence: number
  content: NewObject
  /** This object's share of the answer; null unless addObjects committed it. */
  corrected: AddObjectsResult['correctedNextOffsets'] | null
}

export interface ObjectRow {
  objectId: string
  domain: number
  state: ObjectState
  footerPosition: number
  sizeBytes: number
  totalDataBytes: number
  removedDataBytes: number
  liveExtents: number
  /** Milliseconds since the epoch. */
  updatedAt: number
  commit: Commit | null
}

export function preregisteredObject(objectId: string, domain: number, now: number): ObjectRow {
  return {
    objectId,
    domain,
    state: 'preregistered',
    footerPosition: 0,
    sizeBytes: 0,
    totalDataBytes: 0,
    removedDataBytes: 0,
    liveExtents: 0,
    updatedAt: now,
    commit: null,
  }
}

/** Turns a preregistered row into a committed one that has no live extents yet. */
export function commitObject(row: ObjectRow, commit: Commit, now: number): void {
  const { content } = commit
  row.state = 'committed'
  row.footerPosition = content.footerPosition
  row.sizeBytes = content.sizeBytes
  row.totalDataBytes = content.extents.reduce((sum, extent) => sum + extent.sizeBytes, 0)
  row.updatedAt = now
  row.commit = commit
}

/** Footer, size and the set of extents; their order does not count. */
export function sameContent(a: NewObject, b: NewObject): boolean {
  return contentText(a) === contentText(b)
}

export function copyObject(object: NewObject): NewObject {
  return { ...object, extents: object.extents.map(extent => ({ ...extent })) }
}

function contentText(object: NewObject): string {
  const extents = object.extents.map(extent => [
    keyOf(extent.topicPartition),
    extent.baseOffset,
    extent.lastOffset,
    extent.maxTimestamp,
    extent.position,
    extent.sizeBytes,
  ])
  const sorted = extents.map(fields => fields.join()).sort()
  return JSON.stringify([object.footerPosition, object.sizeBytes, sorted])
}
