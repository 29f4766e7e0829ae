/** Small files of a dataDir that must survive a power cut: whole, or not written at all. */
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'

/** Replaces the file; durable, with its name, when this resolves. One at a time a file. */
export async function writeDurably(
  directory: string,
  name: string,
  contents: Uint8Array | string,
): Promise<void> {
  const path = join(directory, name)
  const file = await open(`${path}.new`, 'w')
  try {
    await file.writeFile(contents)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncDirectory(directory)
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
