/** A node over all its lives: its host, its disk, its way to the bucket, and what runs now. */
import type { ClusterFile } from '../../../src/codec/cluster-file.ts'
import {
  isNewerList,
  type KnownMembers,
  type MemberList,
} from '../../../src/main/cluster/member-book.ts'
import type { Logger } from '../../../src/main/logger.ts'
import { type DiskOperation, FakeDisk } from '../../main/log/fake-disk.ts'
import type { Dice } from '../dice.ts'
import type { EventQueue } from '../event-queue.ts'
import type { Trace } from '../trace.ts'
import { type Bucket, BucketAccess } from './bucket.ts'
import { Host, type StopKind } from './host.ts'
import { membersOf } from './node-options.ts'
import { NodeStack } from './node-stack.ts'
import type { Wire } from './peers.ts'
import type { NodeSettings } from './settings.ts'
import type { VirtualTime } from './virtual-time.ts'

const PAGE_BYTES = 512

export interface SimNodeOptions {
  readonly id: number
  /** Ids of the members that its options name. */
  readonly members: readonly number[]
  readonly settings: NodeSettings
  readonly cluster: ClusterFile
  readonly queue: EventQueue
  readonly time: VirtualTime
  readonly dice: Dice
  readonly wire: Wire
  readonly bucket: Bucket
  readonly trace: Trace
  /** A defect: no fault explains it. */
  readonly onDefect: (error: unknown) => void
}

export class SimNode {
  readonly id: number
  readonly host: Host
  readonly bucket: BucketAccess
  readonly #options: SimNodeOptions
  readonly #book: KnownMembers
  /** It never comes back. */
  isGone = false
  #disk: FakeDisk
  #image: FakeDisk | undefined
  #stack: NodeStack | undefined
  #hasFaultyDisk = false
  /** Writes and syncs take up to this long each. */
  diskDelayMs = 1
  workerDelayMs = 0.3
  /** The next sync fails, and nobody knows what of it is on the disk. */
  failsNextSync = false

  constructor(options: SimNodeOptions) {
    const { id, queue, time, dice, trace, bucket, members, settings } = options
    this.#options = options
    this.id = id
    const { skewMsMax } = settings
    const skewMs = dice.whole(-skewMsMax, skewMsMax)
    this.host = new Host({ id, queue, time, trace, skewMs })
    this.host.onDying = kind => {
      this.#image = this.#crashed(kind)
    }
    this.bucket = new BucketAccess(queue, dice.fork(), this.host, bucket)
    this.#book = new Book({ change: 0, members: membersOf(members) })
    this.#disk = this.#watched(new FakeDisk(PAGE_BYTES, this.#schedule))
  }

  /** What runs, if the node serves callers. */
  get open(): NodeStack | undefined {
    return this.host.isUp && !this.host.isDying && this.#stack?.isOpen ? this.#stack : undefined
  }

  /** What runs, open or not. */
  get running(): NodeStack | undefined {
    return this.host.isUp && !this.host.isDying ? this.#stack : undefined
  }

  start(): void {
    const { host } = this
    if (host.isUp || this.isGone) return
    const { settings, cluster, wire, dice, trace } = this.#options
    trace(() => `node ${this.id} starts`)
    host.start()
    host.run(() => {
      const stack = new NodeStack({
        ...{ settings, cluster, host, wire, dice: dice.fork(), files: this.#disk },
        ...{ bucket: this.bucket, book: this.#book, logger: this.#logger() },
        members: membersOf(this.#options.members),
        isFounder: cluster.founders?.includes(this.id) === true,
        workerDelayMs: () => this.workerDelayMs,
        onFailure: error => this.#onFailure(error),
      })
      this.#stack = stack
      stack.open().then(
        () => trace(() => `node ${this.id} is open`),
        (error: unknown) => this.#onFailure(error),
      )
    })
  }

  retire(why: string): void {
    this.isGone = true
    this.stop('power', why)
  }

  /** Ids of the members that it knows. */
  get members(): number[] {
    return this.#book.list.members.map(({ nodeId }) => nodeId)
  }

  meet(): void {
    this.host.run(() => this.running?.peers?.meet())
  }

  /**
   * Closes it in order, if it is open; then the computer is switched off.
   * @param closed told when it has come to its end
   */
  close(closed: () => void): void {
    const { host, open: stack } = this
    if (stack === undefined) return
    this.#options.trace(() => `node ${this.id} closes`)
    host.run(() => {
      stack.close().then(
        () => {
          if (!host.isUp || host.isDying) return
          host.die('power', 'it has closed')
          closed()
        },
        (error: unknown) => this.#onFailure(error),
      )
    })
  }

  /** After each event of the host. */
  settle(): void {
    if (this.host.isDying) this.#end()
    else if (this.host.isUp) this.#stack?.wake()
  }

  stop(kind: StopKind, why: string): void {
    if (!this.host.isUp) return
    this.host.die(kind, why)
    this.#end()
  }

  #end(): void {
    this.#stack?.release()
    this.#stack = undefined
    this.host.stop()
    this.#hasFaultyDisk = false
    this.failsNextSync = false
    if (this.#image !== undefined) this.#disk = this.#watched(this.#image)
    this.#image = undefined
  }

  #onFailure(error: unknown): void {
    if (!this.host.isUp || this.host.isDying) return
    if (this.#hasFaultyDisk) this.host.die('power', 'its disk has failed')
    else this.#options.onDefect(error)
  }

  // -------------------------------------------------------------- disk

  readonly #schedule = (operation: DiskOperation, done: () => void): void => {
    const { host } = this
    if (!host.takesEffect()) return
    const latencyMs = operation === 'name' ? 1 : this.diskDelayMs
    host.later(this.#options.dice.between(0.02, latencyMs), done)
  }

  #watched(disk: FakeDisk): FakeDisk {
    disk.isLying = this.#options.settings.disksLie
    disk.fault = operation => {
      if (operation !== 'sync' || !this.failsNextSync) return null
      this.failsNextSync = false
      this.#hasFaultyDisk = true
      return new Error('EIO: the disk has lost writes')
    }
    return disk
  }

  #crashed(kind: StopKind): FakeDisk {
    const { dice, settings } = this.#options
    if (kind === 'process' && !settings.disksLie) return this.#disk.crashProcess()
    const percent = dice.pick([0, 50, 90])
    return this.#disk.crashPower(() => dice.chance(percent))
  }

  #logger(): Logger {
    const { trace } = this.#options
    const say = (details: object, message: string): void =>
      trace(() => `node ${this.id}: ${message} ${textOf(details)}`)
    return { debug: say, info: say, warn: say, error: say }
  }
}

/** members.json of a disk that never loses it. */
class Book implements KnownMembers {
  list: MemberList

  constructor(list: MemberList) {
    this.list = list
  }

  get addresses() {
    return new Map(this.list.members.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
  }

  async adopt(list: MemberList): Promise<boolean> {
    if (!isNewerList(list, this.list)) return false
    this.list = list
    return true
  }
}

function textOf(details: object): string {
  return JSON.stringify(details, (_, value: unknown) =>
    value instanceof Error ? value.message : value,
  )
}
