/**
 * The kinds of writes. The numbers are stored with the answers of writes that carried a request
 * id, so they never change.
 */
export const WRITE_KIND = {
  preregisterObjects: 1,
  addObjects: 2,
  replaceObjects: 3,
  compactObjects: 4,
  commitCompaction: 5,
  setStartOffset: 6,
  removeTopics: 7,
  records: 8,
  expireObjects: 9,
  forgetObjects: 10,
} as const

export type WriteKind = (typeof WRITE_KIND)[keyof typeof WRITE_KIND]

/** Extents (or records) that one atomic step of setStartOffset or removeTopics removes at most. */
export const STEP_ROWS_MAX = 1000

/** Object ids that one expireObjects or forgetObjects may name. */
export const OBJECT_IDS_MAX = 1000
