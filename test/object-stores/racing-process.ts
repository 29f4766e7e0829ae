/**
 * A process that races another one: waits for a message, puts every key of the list
 * conditionally, and sends back which ones it created.
 */
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'

const store = new DirectoryObjectStore(process.argv[2])
process.on('message', async (keys: string[]) => {
  const body = Buffer.from(`process ${process.pid}`)
  const created: string[] = []
  for (const key of keys) {
    if ((await store.put(key, body, { ifNoneMatch: true })) === 'created') created.push(key)
  }
  process.send?.(created, () => process.disconnect())
})
process.send?.('ready')
