/**
 * What a calm must come to: every domain is led by who should lead it and takes part on all its
 * members; then it is written to and flushed; and then all replicas are the same.
 */
import assert from 'node:assert/strict'
import { initialConfiguration, preferredLeader } from '../../../src/main/cluster/placement.ts'
import type { RaftStatus } from '../../../src/main/raft/raft-group.ts'
import type { EventQueue } from '../event-queue.ts'
import type { Trace } from '../trace.ts'
import type { Bucket } from './bucket.ts'
import type { Clients } from './clients.ts'
import { contentsOf } from './contents.ts'
import type { NodeStack } from './node-stack.ts'
import type { Operators } from './operators.ts'
import type { Registrants } from './registrants.ts'
import type { NodeSettings } from './settings.ts'
import type { SimNode } from './sim-node.ts'

export interface CalmOptions {
  readonly settings: NodeSettings
  readonly queue: EventQueue
  readonly trace: Trace
  readonly nodes: readonly SimNode[]
  readonly bucket: Bucket
  readonly clients: Clients
  readonly registrants: Registrants
  readonly operators: Operators
}

interface Leader {
  readonly node: SimNode
  readonly open: NodeStack
  readonly status: RaftStatus
}

export class Calm {
  readonly #options: CalmOptions

  constructor(options: CalmOptions) {
    this.#options = options
  }

  /** What is not as it should be in calm; empty when all is. */
  unsettled(): string {
    const { clients, registrants, settings, operators, nodes } = this.#options
    if (operators.unsettled !== '') return operators.unsettled
    const open = [...clients.underWay.map(({ what }) => what), ...registrants.underWay]
    if (open.length > 0) return `calls hang: ${open}`
    const away = nodes.find(node => !node.isGone && node.open === undefined)
    if (away !== undefined) return `node ${away.id} is not open`
    for (let domain = 0; domain < settings.domains; domain++) {
      const why = this.#unsettledDomain(domain)
      if (why !== '') return why
    }
    return settings.changesMembers ? this.#unsettledMembers() : ''
  }

  /** Everybody knows who the members are, and domains have the voters that follow from them. */
  #unsettledMembers(): string {
    const { nodes, operators, settings } = this.#options
    const expected = operators.members
    for (const id of expected) {
      const { members } = nodes[id - 1]
      if (`${members}` !== `${expected}`) return `node ${id} knows ${members}, not ${expected}`
    }
    const factor = Math.min(settings.replicationFactor, expected.length)
    for (let domain = 0; domain < settings.domains; domain++) {
      const configuration = this.leaderOf(domain)?.status.configuration
      const wanted = initialConfiguration(domain, expected, factor).voters
      const learners = configuration?.learners ?? []
      const is = `${configuration?.voters} and learners ${learners}`
      if (is !== `${wanted} and learners `)
        return `domain ${domain} has voters ${is}, not ${wanted}`
    }
    return ''
  }

  #unsettledDomain(domain: number): string {
    const leader = this.leaderOf(domain)
    if (leader === undefined) return `nobody leads domain ${domain}`
    const { commit, configuration } = leader.status
    const preferred = preferredLeader(domain, configuration.voters)
    if (leader.node.id !== preferred) return `domain ${domain} is not led by node ${preferred}`
    if (configuration.votersOutgoing.length > 0) return `domain ${domain} is joint`
    for (const id of [...configuration.voters, ...configuration.learners]) {
      const stack = this.#options.nodes[id - 1].open
      if (stack === undefined) return `node ${id} is not open`
      const { index } = stack.domains[domain].progress
      if (index < commit) return `node ${id} has ${index} of ${commit} of domain ${domain}`
    }
    return ''
  }

  /** What newest manifest and tail lack; empty when they are all there is. */
  unshipped(): string {
    const { settings, bucket } = this.#options
    if (settings.tailIntervalMs === null) return ''
    for (let domain = 0; domain < settings.domains; domain++) {
      const leader = this.leaderOf(domain)
      if (leader === undefined) return `nobody leads domain ${domain}`
      const { uuid, visibleSequence, manifest } = leader.open.domains[domain]
      const after = manifest?.lastSequence ?? 0
      const reach = Math.max(after, bucket.tails.reach(uuid, after))
      if (reach < visibleSequence) {
        return `of domain ${domain}, ${reach} of ${visibleSequence} are in the bucket`
      }
    }
    return ''
  }

  leaderOf(domain: number): Leader | undefined {
    for (const node of this.#options.nodes) {
      const { open } = node
      if (open?.replication?.isLeading(domain)) {
        return { node, open, status: open.replication.node.status(domain) }
      }
    }
    return undefined
  }

  /** Those that the node leads, and others vote for as well. */
  sharedDomainsOf(node: SimNode): number[] {
    return Array.from({ length: this.#options.settings.domains }, (_, domain) => domain).filter(
      domain => {
        const leader = this.leaderOf(domain)
        return leader?.node === node && leader.status.configuration.voters.length > 1
      },
    )
  }

  /** Of the leaders: others hear of their terms later. */
  terms(): string[] {
    return Array.from({ length: this.#options.settings.domains }, (_, domain) => {
      const leader = this.leaderOf(domain)
      return `domain ${domain}: node ${leader?.node.id} in term ${leader?.status.term}`
    })
  }

  /**
   * Has every domain written to and flushed, and its garbage collected.
   * @param done told of each one that was
   * @returns whether all of them have a leader to ask
   */
  probe(done: () => void): boolean {
    const { settings, queue, clients, trace } = this.#options
    for (let domain = 0; domain < settings.domains; domain++) {
      const node = this.leaderOf(domain)?.node
      if (node === undefined) return false
      const input = { do: 'put', key: `${domain}/probe`, value: `p${queue.nowMs}` } as const
      const store = async (): Promise<void> => {
        await node.open?.atLeader('flush', domain)
        await node.open?.atLeader('collectGarbage', domain)
      }
      const begin = (): void => {
        store().then(done, (error: Error) => {
          trace(() => `flush of domain ${domain}: ${error.message}`)
        })
      }
      queue.after(0, () => clients.call(0, node, input, () => node.host.run(begin)))
    }
    return true
  }

  /** All replicas of a domain have the same rows, and no more log than the manifest lets go. */
  async expectSame(): Promise<void> {
    const { settings, nodes, bucket, registrants } = this.#options
    for (let domain = 0; domain < settings.domains; domain++) {
      const found = new Map<string, number[]>()
      const leader = this.leaderOf(domain)
      assert.ok(leader !== undefined, `nobody leads domain ${domain} any more`)
      const { voters, learners } = leader.status.configuration
      for (const { id, open } of nodes) {
        const handle = open?.domains[domain]
        if (handle === undefined || ![...voters, ...learners].includes(id)) continue
        const contents = await contentsOf(handle, bucket)
        const text = `${handle.visibleSequence}: ${contents.text}`
        found.set(text, [...(found.get(text) ?? []), id])
        registrants.check(domain, contents.objects)
        const cut = (open?.disk?.firstIndex(domain) ?? 1) - 1
        const covered = handle.manifest?.lastIndex ?? 0
        assert.ok(
          cut >= covered,
          `node ${id} keeps ${cut + 1}.. of domain ${domain}, of ${covered}`,
        )
      }
      assert.equal(
        found.size,
        1,
        `replicas of domain ${domain} differ: ${[...found].join(' and ')}`,
      )
    }
  }
}
