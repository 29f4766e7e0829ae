/**
 * One node of a cluster: a process of its own, as a broker is, which makes its share of the calls
 * itself. It is driven by the process that forked it, and ends with it.
 */
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import { NodeLoads } from './node-loads.ts'
import type { NodeRequest, NodeRequests, NodeResponse, RequestName } from './node-requests.ts'
import { NodeWriters } from './node-writers.ts'

type Handlers = {
  [N in RequestName]: (ask: NodeRequests[N]['ask']) => Promise<NodeRequests[N]['answer']>
}

interface OpenNode {
  nodeId: number
  store: Metastore
  loads: NodeLoads
  writers: NodeWriters
}

let node: OpenNode | undefined

function opened(): OpenNode {
  if (node === undefined) throw new Error('the node is not open')
  return node
}

async function open(options: MetastoreOptions): Promise<void> {
  const store = await Metastore.open(options)
  const { nodeId = 1, members = [] } = options.cluster ?? {}
  const share = { of: members.length, index: members.findIndex(one => one.nodeId === nodeId) }
  node = {
    nodeId,
    store,
    loads: new NodeLoads(store, share),
    writers: new NodeWriters(store, share),
  }
}

const HANDLERS: Handlers = {
  open,
  partitions: async () => {
    const { partitions } = await opened().store.status()
    return partitions.map(({ leader, committedSequence: sequence }) => ({
      leader: leader ?? 0,
      sequence,
    }))
  },
  lead: async ({ partition }) => {
    const { store, nodeId } = opened()
    await store.transferLeadership(partition, nodeId)
  },
  flushedBytes: async () => (await opened().store.status()).storage.flushedBytes,
  fill: ask => opened().loads.fill(ask.kind, ask.rows),
  preregister: ask => opened().loads.preregister(ask.commits),
  load: ask => opened().loads.run(ask.kind, ask),
  beginWriting: async ask => opened().writers.begin(ask.partitions),
  endWriting: ask => opened().writers.end(ask.since),
  close: async () => {
    await node?.store.close()
    node = undefined
  },
}

async function answer({ name, ask }: NodeRequest): Promise<NodeResponse> {
  try {
    const handle = HANDLERS[name] as (ask: unknown) => Promise<unknown>
    return { answer: await handle(ask) }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

process.on('message', (request: NodeRequest) => {
  void answer(request).then(response => process.send?.(response))
})
process.on('disconnect', () => process.exit())
