/**
 * One node of a cluster: a process of its own, as a broker is, which makes its share of the calls
 * itself. It is driven by the process that forked it, and ends with it.
 */
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import { NodeFlow } from './node-flow.ts'
import { NodeLoads, type Share } from './node-loads.ts'
import type { NodeRequest, NodeRequests, NodeResponse, RequestName } from './node-requests.ts'
import { NodeWriters } from './node-writers.ts'

type Handlers = {
  [N in RequestName]: (ask: NodeRequests[N]['ask']) => Promise<NodeRequests[N]['answer']>
}

interface OpenNode {
  nodeId: number
  store: Metastore
  share: Share
  loads: NodeLoads
  writers: NodeWriters
  flow?: NodeFlow
}

let node: OpenNode | undefined

function opened(): OpenNode {
  if (node === undefined) throw new Error('the node is not open')
  return node
}

async function open(options: MetastoreOptions): Promise<void> {
  const store = await Metastore.open(options)
  const { nodeId, members } = options.cluster ?? { nodeId: 1, members: [{ nodeId: 1 }] }
  const share = { of: members.length, index: members.findIndex(one => one.nodeId === nodeId) }
  node = {
    nodeId,
    store,
    share,
    loads: new NodeLoads(store, share),
    writers: new NodeWriters(store, share),
  }
}

const HANDLERS: Handlers = {
  open,
  partitions: async () => {
    const { partitions } = await opened().store.status()
    return partitions.map(({ leader, committedSequence: sequence, shippedSequence }) => ({
      leader: leader ?? 0,
      sequence,
      shipped: shippedSequence ?? 0,
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
  beginFlow: async ask => {
    const { store, share } = opened()
    opened().flow = await NodeFlow.begin(store, share, ask)
  },
  flush: () => opened().store.flush(),
  flowReport: async () => {
    const { flow } = opened()
    if (flow === undefined) throw new Error('nothing flows')
    return flow.report()
  },
  close: async () => {
    await node?.flow?.end()
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
