/** The stores behind `memory:name`, one a name, shared by everything on the main thread. */
import { MemoryObjectStore } from './memory-object-store.ts'

const stores = new Map<string, MemoryObjectStore>()

/**
 * The process's store of this name, made at first use and kept until the process ends, so that a
 * cluster that is closed and opened again finds its objects. Main thread only.
 */
export function memoryObjectStore(name: string): MemoryObjectStore {
  const known = stores.get(name)
  if (known !== undefined) return known
  const store = new MemoryObjectStore()
  stores.set(name, store)
  return store
}
