/** The model of every structure that holds versions of rows: a sorted array of them. */
import { compareBytes } from '../../src/codec/bytes.ts'

export interface Version {
  key: Uint8Array
  sequence: number
  isDelete: boolean
  value: Uint8Array
}

/** Keys ascending, of one key the newest first. */
export function compareVersions(a: Version, b: Version): number {
  const order = compareBytes(a.key, b.key)
  return order !== 0 ? order : b.sequence - a.sequence
}

export class VersionsModel {
  readonly versions: Version[] = []

  add(version: Version): void {
    let low = 0
    let high = this.versions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareVersions(this.versions[middle], version) < 0) low = middle + 1
      else high = middle
    }
    this.versions.splice(low, 0, version)
  }

  /** Whether this version of this key is there already. */
  has(key: Uint8Array, sequence: number): boolean {
    return this.versions.some(
      version => version.sequence === sequence && compareBytes(version.key, key) === 0,
    )
  }

  /** The newest version of `key` at or below `sequence`. */
  find(key: Uint8Array, sequence: number): Version | undefined {
    return this.versions.find(
      version => version.sequence <= sequence && compareBytes(version.key, key) === 0,
    )
  }

  /** Of each key its newest version at or below `sequence`, deletes included. */
  at(sequence: number): Version[] {
    const rows: Version[] = []
    for (const version of this.versions) {
      if (version.sequence > sequence) continue
      const last = rows.at(-1)
      if (last === undefined || compareBytes(last.key, version.key) !== 0) rows.push(version)
    }
    return rows
  }
}
