/**
 * What people do to a cluster, and ask for under fire: flushes, compactions, collections of garbage,
 * transfers of leadership. In some seeds they move voters of single domains; in the others nodes are
 * added, removed, or lost for good and replaced, one change a storm, which is asked for until it is
 * done: in calm it must come to its end.
 */
import type { AdminOperation } from '../../../src/main/cluster/member-requests.ts'
import type { Dice } from '../dice.ts'
import type { EventQueue } from '../event-queue.ts'
import type { Trace } from '../trace.ts'
import { membersOf } from './node-options.ts'
import type { NodeSettings } from './settings.ts'
import type { SimNode } from './sim-node.ts'

export interface OperatorsOptions {
  readonly settings: NodeSettings
  readonly queue: EventQueue
  readonly dice: Dice
  readonly nodes: readonly SimNode[]
  /** A node with an empty disk that is to become a member of these and itself. */
  readonly addNode: (members: readonly number[]) => SimNode
  readonly trace: Trace
}

interface Change {
  readonly added: readonly number[]
  readonly removed: readonly number[]
}

const PLACE_EVERY_MS = 50
const PLACE_TRIES_MAX = 100
const MEMBERS_MAX = 6
/** Between two looks for whether a change is done, or must be asked for again. */
const CHANGE_LOOK_MS = 200

export class Operators {
  readonly #options: OperatorsOptions
  /** Who the members are when the change under way is done. */
  members: readonly number[]
  #change: Change | undefined
  #hasChanged = false
  /** Who was asked for a change and has not answered, with the life in which it was. */
  readonly #asked = new Map<SimNode, number>()
  #storm = 0
  /** Changes of members that were done. */
  changes = 0

  constructor(options: OperatorsOptions) {
    this.#options = options
    this.members = options.nodes.map(({ id }) => id)
  }

  /** Only changes of members are gone on with. */
  calm(): void {
    this.#storm++
    this.#hasChanged = false
  }

  /** What is not done yet that must be done in calm; empty when all is. */
  get unsettled(): string {
    this.#forgetStopped()
    if (this.#change !== undefined) return `not done: ${JSON.stringify(this.#change)}`
    const asked = [...this.#asked.keys()].map(({ id }) => id)
    return asked.length > 0 ? `nodes ${asked} are changing members still` : ''
  }

  administer(operation: AdminOperation): void {
    const { dice, settings } = this.#options
    const domain = dice.below(settings.domains)
    const args = operation === 'transfer' ? [this.#any().id] : []
    this.#ask(operation, domain, args, () => {})
  }

  #any(): SimNode {
    return this.#options.dice.pick(this.#options.nodes)
  }

  #say(what: string): void {
    this.#options.trace(() => `-- ${what}`)
  }

  #later(delayMs: number, work: () => void): void {
    const storm = this.#storm
    this.#options.queue.after(delayMs, () => {
      if (storm === this.#storm) work()
    })
  }

  /** Asks some node to have it done, and says what came of it. */
  #ask(
    operation: AdminOperation,
    domain: number,
    args: readonly number[],
    done: (answer: unknown) => void,
  ): void {
    const node = this.#any()
    this.#options.queue.after(0, () =>
      node.host.run(() => {
        node.open?.atLeader(operation, domain, ...args).then(
          answer => {
            const what = `${operation} ${args} of domain ${domain} at ${node.id}`
            this.#say(`${what}: ${JSON.stringify(answer)}`)
            done(answer)
          },
          (error: Error) => this.#say(`${operation} of domain ${domain}: ${error.message}`),
        )
      }),
    )
  }

  // -------------------------------------------------------------- voters of a domain

  /** Other voters for a domain: step by step, until they are there. */
  place(): void {
    const { dice, settings } = this.#options
    const domain = dice.below(settings.domains)
    const voters: number[] = []
    const count = dice.pick([settings.replicationFactor, settings.replicationFactor, 1])
    while (voters.length < Math.min(count, this.members.length)) {
      const id = dice.pick(this.members)
      if (!voters.includes(id)) voters.push(id)
    }
    voters.sort((a, b) => a - b)
    this.#say(`domain ${domain} is to go to ${voters}`)
    this.#placeStep(domain, voters, PLACE_TRIES_MAX)
  }

  #placeStep(domain: number, voters: readonly number[], tries: number): void {
    if (tries === 0) return
    this.#later(PLACE_EVERY_MS, () => {
      let isThere = false
      this.#ask('place', domain, voters, answer => {
        isThere = answer === true
      })
      this.#later(PLACE_EVERY_MS, () => {
        if (!isThere) this.#placeStep(domain, voters, tries - 1)
      })
    })
  }

  // -------------------------------------------------------------- members

  /** One a storm: what is still on its way of a change must not meet the next one. */
  changeMembers(): void {
    if (this.#hasChanged) return
    this.#hasChanged = true
    const { dice, nodes, settings } = this.#options
    const count = this.members.length
    const kinds = [
      ...(count < MEMBERS_MAX ? ['add'] : []),
      ...(count > 1 ? ['remove'] : []),
      // The others have what was acknowledged.
      ...(Math.min(count, settings.replicationFactor) > 2 ? ['replace'] : []),
    ]
    const kind = dice.pick(kinds)
    const removed = kind === 'add' ? [] : [dice.pick(this.members)]
    if (kind === 'replace') nodes[removed[0] - 1].retire('its disk is lost')
    const added: number[] = []
    if (kind !== 'remove') {
      const node = this.#options.addNode(this.members)
      added.push(node.id)
      node.start()
    }
    this.#change = { added, removed }
    this.members = [...this.members.filter(id => !removed.includes(id)), ...added]
    this.#say(`${kind}: ${JSON.stringify(this.#change)}`)
    this.#askForChange(this.#change)
  }

  #askForChange(change: Change): void {
    const { queue } = this.#options
    const node = this.#any()
    if (!this.#asked.has(node) && node.open !== undefined && !change.added.includes(node.id)) {
      queue.after(0, () => node.host.run(() => this.#begin(change, node)))
    }
    this.#awaitChange(change)
  }

  #begin(change: Change, node: SimNode): void {
    const { open } = node
    if (open === undefined) return
    this.#asked.set(node, node.host.life)
    this.#say(`node ${node.id} is asked for the change of members`)
    open.changeMembers(membersOf(change.added), change.removed).then(
      () => {
        this.#asked.delete(node)
        this.#done(change)
      },
      (error: Error) => {
        this.#asked.delete(node)
        this.#say(`node ${node.id}: change of members: ${error.message}`)
      },
    )
  }

  /** Asks somebody else when who was asked is no more, or has failed. */
  #awaitChange(change: Change): void {
    this.#options.queue.after(CHANGE_LOOK_MS, () => {
      if (this.#change !== change) return
      this.#forgetStopped()
      if (this.#asked.size === 0 || this.#options.dice.chance(5)) this.#askForChange(change)
      else this.#awaitChange(change)
    })
  }

  #forgetStopped(): void {
    for (const [node, life] of this.#asked) {
      if (node.host.life !== life) this.#asked.delete(node)
    }
  }

  /** Who was removed is needed no more. */
  #done(change: Change): void {
    if (this.#change !== change) return
    this.#change = undefined
    this.changes++
    this.#say('the members are changed')
    const { queue, nodes } = this.#options
    for (const id of change.removed) queue.after(0, () => nodes[id - 1].retire('it was removed'))
  }
}
