/**
 * One node of the example: a process with a member of the cluster in it, as a broker's would be. It
 * does what its parent tells it; a broker would call the metastore by itself.
 */
import { Metastore } from '../../src/index.ts'
import type { Answer, Ask } from './messages.ts'

const [options, topicId] = process.argv.slice(2)
const metastore = await Metastore.open(JSON.parse(options))
const place = { topicId, partition: 0 }
const colours = metastore.records('colours')

async function perform(ask: Ask): Promise<string | number | undefined> {
  switch (ask.what) {
    case 'put':
      // Resolves when a majority has it on disk, whoever of them leads.
      await colours.put(place, ask.key, new TextEncoder().encode(ask.value))
      return undefined
    case 'get': {
      // Linearizable: sees every write that was acknowledged before, at any node.
      const value = await colours.get(place, ask.key)
      return value === undefined ? undefined : new TextDecoder().decode(value)
    }
    case 'leader': {
      const { partitions } = await metastore.status()
      return partitions[0].leader ?? undefined
    }
  }
}

function answer(message: Answer): void {
  process.send?.(message)
}

process.on('message', (ask: Ask) => {
  perform(ask).then(
    result => answer({ id: ask.id, ...(result !== undefined && { result }) }),
    error => answer({ id: ask.id, error: `${error.code}: ${error.message}` }),
  )
})
// The parent has ended, or lets this node go.
process.on('disconnect', () => {
  void metastore.close()
})
answer({ id: 0 })
