/** A node's process, as its parent has it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { MetastoreOptions } from '../../src/index.ts'
import type { Answer, Ask } from './messages.ts'

const PROGRAM = fileURLToPath(new URL('node.js', import.meta.url))

type Question = Ask extends infer A ? (A extends Ask ? Omit<A, 'id'> : never) : never

export class NodeProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #lastId = 0

  private constructor(options: MetastoreOptions, topicId: string) {
    this.#child = fork(PROGRAM, [JSON.stringify(options), topicId])
    this.#ended = once(this.#child, 'exit')
    this.#child.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer))
    this.#child.on('exit', () => {
      for (const [id, settle] of this.#waiting) settle({ id, error: 'the process has ended' })
    })
  }

  /** Resolves when the node is open. It may know no leader yet; calls wait for one. */
  static async start(options: MetastoreOptions, topicId: string): Promise<NodeProcess> {
    const node = new NodeProcess(options, topicId)
    await node.#answerTo(0)
    return node
  }

  ask(question: Question): Promise<string | number | undefined> {
    const id = ++this.#lastId
    this.#child.send({ id, ...question })
    return this.#answerTo(id)
  }

  async #answerTo(id: number): Promise<string | number | undefined> {
    const { result, error } = await new Promise<Answer>(resolve => this.#waiting.set(id, resolve))
    this.#waiting.delete(id)
    if (error !== undefined) throw new Error(error)
    return result
  }

  /** As a crash or a power cut would end it. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** In order. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
  }
}
