/** Running the child process, killing it, and knowing what it had been acknowledged by then. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ChildMessage, CrashTask } from './crash-messages.ts'
import type { Mismatches } from './mismatches.ts'
import { ObjectIds } from './object-ids.ts'
import type { Workspace } from './workspace.ts'

export interface Acknowledged {
  ids: ObjectIds
  /** Of operations, by their index in the trace. */
  indexes: ReadonlySet<number>
}

const CHILD_FILE = fileURLToPath(new URL('crash-child.js', import.meta.url))

/**
 * Starts the child, kills it with SIGKILL once it has reported `killAfter` operations, and resolves
 * when it is gone and all it had written has been read.
 * @param advance called with how many more were reported
 */
export async function runDoomedChild(
  task: CrashTask,
  killAfter: number,
  workspace: Workspace,
  mismatches: Mismatches,
  advance: (by: number) => void,
): Promise<Acknowledged> {
  const child = fork(CHILD_FILE, [JSON.stringify(task)])
  workspace.adopt(child)
  let ids: ObjectIds | undefined
  const indexes = new Set<number>()
  child.on('message', (message: ChildMessage) => {
    if (message.type === 'ids') {
      ids = new ObjectIds(message.ids)
      return
    }
    for (const index of message.indexes) indexes.add(index)
    for (const mismatch of message.mismatches) mismatches.add(mismatch)
    advance(message.indexes.length)
    if (indexes.size >= killAfter) child.kill('SIGKILL')
  })
  // The channel is read to its end before it is closed; the exit may be noticed earlier than that.
  const [[code, signal]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  if (signal !== 'SIGKILL' || ids === undefined) {
    throw new Error(`the child process ended by itself: ${signal ?? `exit code ${code}`}`)
  }
  return { ids, indexes }
}
