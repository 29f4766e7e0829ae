/**
 * A process that counts up beside another one: adds one to the number in an object, as often as it
 * is told, by puts that have to match what it has read.
 */
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'

const store = new DirectoryObjectStore(process.argv[2])

async function addOne(key: string): Promise<void> {
  for (;;) {
    const version = (await store.head(key))?.version
    const body = await store.get(key)
    const next = Buffer.from(String(Number(Buffer.from(body ?? []).toString()) + 1))
    const condition = version === undefined ? { ifNoneMatch: true } : { ifMatch: version }
    if ((await store.put(key, next, condition)) === 'created') return
  }
}

process.on('message', async ({ key, times }: { key: string; times: number }) => {
  for (let i = 0; i < times; i++) await addOne(key)
  process.send?.('done', () => process.disconnect())
})
process.send?.('ready')
