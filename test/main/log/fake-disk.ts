/**
 * A disk in memory that forgets. Writes reach the "page cache" at once and the platter when a sync
 * completes; crash() gives the disk that a machine would find afterwards: of each write that no
 * completed sync covers, any subset of its pages; of each creation, rename and removal that no
 * completed directory sync covers, any subset. A disk that has crashed never calls back.
 *
 * It can be full: a page that was never written takes room, and one that was does not. What a power
 * cut has taken out of the middle of a file is a hole, and takes room again.
 */
import { parseSegmentName } from '../../../src/codec/segment-header.ts'
import type { Done, LogFile, LogFiles } from '../../../src/main/log/log-files.ts'

/** What a test can let fail. */
export type Operation = 'open' | 'write' | 'sync' | 'rename' | 'syncDirectory'

interface Write {
  position: number
  bytes: Uint8Array
}

class Inode {
  cached: Uint8Array = new Uint8Array(0)
  durable: Uint8Array = new Uint8Array(0)
  unsynced: Write[] = []
  /** Numbers of the pages that take room, and those of them that a power cut leaves. */
  pages: Set<number> = new Set()
  durablePages: Set<number> = new Set()
}

export type DiskOperation = 'write' | 'sync' | 'name'
/** When what was asked of the disk is done. */
export type DiskSchedule = (operation: DiskOperation, done: () => void) => void

type NameChange = (names: Map<string, Inode>) => void

export class FakeDisk implements LogFiles {
  /** Smaller than real ones, and than most records, so that records tear. */
  readonly pageBytes: number
  names: Map<string, Inode> = new Map()
  durableNames: Map<string, Inode> = new Map()
  nameChanges: NameChange[] = []
  syncs = 0
  writes = 0
  openFiles = 0
  isDead = false
  /** Bytes that the pages of all files may take. */
  capacityBytes: number = Number.POSITIVE_INFINITY
  /** Says that it has synced, and has not. */
  isLying = false
  /** Fails the operation that it returns an error for. */
  fault: (operation: Operation, name: string) => Error | null = () => null

  readonly #schedule: DiskSchedule

  /** @param schedule default: all is done in the next turn */
  constructor(pageBytes = 64, schedule: DiskSchedule = (_, done) => setImmediate(done)) {
    this.pageBytes = pageBytes
    this.#schedule = schedule
  }

  get segmentCount(): number {
    return [...this.names.keys()].filter(name => parseSegmentName(name) !== null).length
  }

  get usedBytes(): number {
    let pages = 0
    for (const inode of this.names.values()) pages += inode.pages.size
    return pages * this.pageBytes
  }

  async list(): Promise<string[]> {
    return [...this.names.keys()]
  }

  async open(name: string): Promise<LogFile> {
    await this.#turn()
    this.#check('open', name)
    let inode = this.names.get(name)
    if (inode === undefined) {
      const created = new Inode()
      inode = created
      this.#change(names => names.set(name, created))
    }
    this.openFiles++
    return this.#file(inode)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#turn()
    this.#check('rename', from)
    const inode = this.names.get(from)
    if (inode === undefined) throw new Error(`no file ${from}`)
    this.#change(names => {
      names.delete(from)
      names.set(to, inode)
    })
  }

  async remove(name: string): Promise<void> {
    await this.#turn()
    this.#change(names => names.delete(name))
  }

  async syncDirectory(): Promise<void> {
    const covered = this.nameChanges.length
    await this.#turn()
    this.#check('syncDirectory', '.')
    for (const change of this.nameChanges.splice(0, covered)) change(this.durableNames)
  }

  /** What a new process finds when only the old one died: everything written. */
  crashProcess(): FakeDisk {
    this.isDead = true
    return this.copy()
  }

  /** Another disk of the same state; this one goes on. */
  copy(): FakeDisk {
    const disk = new FakeDisk(this.pageBytes, this.#schedule)
    const copies = new Map<Inode, Inode>()
    const copyOf = (inode: Inode): Inode => {
      const copy =
        copies.get(inode) ??
        Object.assign(new Inode(), {
          cached: inode.cached.slice(),
          durable: inode.durable.slice(),
          unsynced: [...inode.unsynced],
          pages: new Set(inode.pages),
          durablePages: new Set(inode.durablePages),
        })
      copies.set(inode, copy)
      return copy
    }
    for (const [name, inode] of this.names) disk.names.set(name, copyOf(inode))
    for (const [name, inode] of this.durableNames) disk.durableNames.set(name, copyOf(inode))
    // Whatever changes were pending: they lead from the durable names to the present ones.
    const names = new Map(disk.names)
    disk.nameChanges = [
      target => {
        target.clear()
        for (const [name, inode] of names) target.set(name, inode)
      },
    ]
    return disk
  }

  /** What is found after a power cut; `keep` decides page by page and name by name. */
  crashPower(keep: () => boolean): FakeDisk {
    this.isDead = true
    const disk = new FakeDisk(this.pageBytes, this.#schedule)
    const names = new Map(this.durableNames)
    for (const change of this.nameChanges) if (keep()) change(names)
    for (const [name, inode] of names) {
      const found = new Inode()
      found.cached = inode.durable.slice()
      found.pages = new Set(inode.durablePages)
      for (const write of inode.unsynced) this.#keepPages(found, write, keep)
      found.durable = found.cached.slice()
      found.durablePages = new Set(found.pages)
      disk.names.set(name, found)
      disk.durableNames.set(name, found)
    }
    return disk
  }

  bytesOf(name: string): Uint8Array {
    const inode = this.names.get(name)
    if (inode === undefined) throw new Error(`no file ${name}`)
    return inode.cached
  }

  /** Puts a file on the disk, durable. */
  place(name: string, bytes: Uint8Array): void {
    const inode = new Inode()
    inode.cached = bytes.slice()
    inode.durable = bytes.slice()
    for (const page of this.#pagesOf(0, bytes.length)) inode.pages.add(page)
    inode.durablePages = new Set(inode.pages)
    this.names.set(name, inode)
    this.durableNames.set(name, inode)
  }

  #keepPages(found: Inode, write: Write, keep: () => boolean): void {
    const end = write.position + write.bytes.length
    for (let at = write.position; at < end; ) {
      const pageEnd = Math.min(end, at - (at % this.pageBytes) + this.pageBytes)
      if (keep()) {
        const part = write.bytes.subarray(at - write.position, pageEnd - write.position)
        found.cached = put(found.cached, at, part)
        found.pages.add(Math.floor(at / this.pageBytes))
      }
      at = pageEnd
    }
  }

  #check(operation: Operation, name: string): void {
    const error = this.fault(operation, name)
    if (error !== null) throw error
  }

  *#pagesOf(from: number, to: number): Iterable<number> {
    for (let page = Math.floor(from / this.pageBytes); page * this.pageBytes < to; page++) {
      yield page
    }
  }

  /** Takes room for [from, to); returns where it ends, `to` unless the disk is full. */
  #allocate(inode: Inode, from: number, to: number): number {
    let freePages = Math.floor((this.capacityBytes - this.usedBytes) / this.pageBytes)
    for (const page of this.#pagesOf(from, to)) {
      if (inode.pages.has(page)) continue
      if (freePages-- <= 0) return Math.max(from, page * this.pageBytes)
      inode.pages.add(page)
    }
    return to
  }

  /** As much as there is room for; the error if that is not all. */
  #write(inode: Inode, bytes: Uint8Array, position: number): Error | null {
    const to = position + bytes.length
    const end = this.#allocate(inode, position, to)
    const copy = bytes.slice(0, end - position)
    inode.cached = put(inode.cached, position, copy)
    inode.unsynced.push({ position, bytes: copy })
    return end < to ? diskFull() : null
  }

  #change(change: NameChange): void {
    change(this.names)
    this.nameChanges.push(change)
  }

  async #turn(): Promise<void> {
    await new Promise<void>(resolve => this.#schedule('name', resolve))
    // A dead disk never answers; the promise is simply dropped.
    if (this.isDead) await new Promise(() => {})
  }

  #later(operation: DiskOperation, done: Done, error: Error | null, effect: () => void): void {
    this.#schedule(operation, () => {
      if (this.isDead) return
      if (error === null) effect()
      done(error)
    })
  }

  /** As it is called now. */
  #nameOf(inode: Inode): string {
    for (const [name, named] of this.names) if (named === inode) return name
    return 'removed'
  }

  #file(inode: Inode): LogFile {
    const read = (into: Uint8Array, position: number): number => {
      const part = inode.cached.subarray(position, position + into.length)
      into.set(part)
      return part.length
    }
    return {
      sizeBytes: inode.cached.length,
      write: (bytes, length, position, done) => {
        this.writes++
        const fault = this.fault('write', this.#nameOf(inode))
        const error = fault ?? this.#write(inode, bytes.subarray(0, length), position)
        this.#later('write', done, error, () => {})
      },
      sync: done => {
        this.syncs++
        const covered = inode.unsynced.length
        this.#later('sync', done, this.fault('sync', this.#nameOf(inode)), () => {
          if (this.isLying) return
          for (const write of inode.unsynced.splice(0, covered)) {
            inode.durable = put(inode.durable, write.position, write.bytes)
            const end = write.position + write.bytes.length
            for (const page of this.#pagesOf(write.position, end)) inode.durablePages.add(page)
          }
        })
      },
      read: async (into, position) => read(into, position),
      readSync: read,
      close: async () => {
        this.openFiles--
      },
    }
  }
}

export function diskFull(code = 'ENOSPC'): Error {
  return Object.assign(new Error(`${code}: no room left on the disk`), { code })
}

function put(bytes: Uint8Array, position: number, part: Uint8Array): Uint8Array {
  const end = position + part.length
  let result = bytes
  if (end > bytes.length) {
    result = new Uint8Array(end)
    result.set(bytes)
  }
  result.set(part, position)
  return result
}
