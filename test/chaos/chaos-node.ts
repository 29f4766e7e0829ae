/** A node's process, as the harness has it: what is asked of it, and what is done to it. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { AnswerOf, AskOf, NodeSettings, OperationName, Told } from './node-messages.ts'

const PROGRAM = fileURLToPath(new URL('node-process.js', import.meta.url))
/** A node that takes longer to open or to close is broken. */
const OPEN_MS_MAX = 40_000
const CLOSE_MS_MAX = 40_000
const REOPEN_AFTER_MS = 300

/** The process has ended, or was silent for too long: nobody knows what came of it. */
export const LOST = 'LOST'

export class OperationError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: OperationError) => void
}

export class ChaosNode {
  readonly nodeId: number
  readonly #settings: NodeSettings
  readonly #onProblem: (problem: string) => void
  #child: ChildProcess | undefined
  #isOpen = false
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  /** Its processes so far. */
  lives = 0
  /** What it failed with is no surprise: its disk was broken on purpose. */
  mayFail = false
  /** A fault has it in hand. */
  isBusy = false

  constructor(nodeId: number, settings: NodeSettings, onProblem: (problem: string) => void) {
    this.nodeId = nodeId
    this.#settings = settings
    this.#onProblem = onProblem
  }

  /** Open, as far as the harness knows; it may be stopped. */
  get isUp(): boolean {
    return this.#isOpen
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  /** Starts it, again and again while its disk is broken. Resolves when it is open. */
  async start(): Promise<void> {
    while (!(await this.#startOnce())) {
      if (!this.mayFail) throw new Error(`node ${this.nodeId} does not open`)
      await sleep(REOPEN_AFTER_MS)
    }
  }

  #startOnce(): Promise<boolean> {
    const log = openSync(this.#settings.logFile, 'a')
    const child = fork(PROGRAM, [JSON.stringify(this.#settings)], {
      stdio: ['ignore', log, log, 'ipc'],
    })
    this.#child = child
    this.lives++
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#onProblem(`node ${this.nodeId} did not open within ${OPEN_MS_MAX} ms`)
        child.kill('SIGKILL')
      }, OPEN_MS_MAX)
      const settle = (isOpen: boolean): void => {
        clearTimeout(timer)
        resolve(isOpen)
      }
      child.on('message', (told: Told) => {
        if ('event' in told && told.event === 'open') {
          this.#isOpen = true
          settle(true)
        } else this.#onTold(told)
      })
      child.on('error', () => {})
      child.on('exit', () => {
        this.#isOpen = false
        this.#child = undefined
        for (const { reject } of this.#waiting.values()) {
          reject(new OperationError(LOST, 'the process has ended'))
        }
        this.#waiting.clear()
        settle(false)
      })
    })
  }

  #onTold(told: Told): void {
    if ('event' in told) {
      this.#onEvent(told)
      return
    }
    const waiting = this.#waiting.get(told.id)
    if (waiting === undefined) return
    this.#waiting.delete(told.id)
    if ('error' in told) {
      const { code, message } = told.error
      if (code === 'BUG') this.#onProblem(`node ${this.nodeId}: ${message}`)
      waiting.reject(new OperationError(code, `${message} (node ${this.nodeId})`))
    } else waiting.resolve(told.answer)
  }

  #onEvent(told: Extract<Told, { event: string }>): void {
    if (told.event === 'stalled') {
      this.#onProblem(`the event loop of node ${this.nodeId} stood still ${told.message}`)
    } else if (told.event === 'failed') {
      this.#isOpen = false
      if (!this.mayFail) this.#onProblem(`node ${this.nodeId} has failed: ${told.message}`)
    }
  }

  /** Rejects with an OperationError: the code it was answered with, or LOST. */
  async ask<N extends OperationName>(
    name: N,
    ask: AskOf<N>,
    timeoutMs = 15_000,
  ): Promise<AnswerOf<N>> {
    const child = this.#child
    if (child === undefined || !child.connected || !this.#isOpen) {
      throw new OperationError(LOST, 'no process')
    }
    const id = ++this.#lastId
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<AnswerOf<N>>((resolve, reject) => {
        this.#waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject })
        timer = setTimeout(() => reject(new OperationError(LOST, 'no answer')), timeoutMs)
        child.send({ id, name, ask }, error => {
          if (error !== null) reject(new OperationError(LOST, error.message))
        })
      })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#child?.kill(signal)
  }

  /** Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#isOpen = false
    const ended = this.#ended()
    this.#child?.kill('SIGKILL')
    await ended
  }

  /** In order; the process must end by itself and without an error. */
  async close(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = this.#ended()
    const timer = setTimeout(() => {
      this.#onProblem(`node ${this.nodeId} did not close within ${CLOSE_MS_MAX} ms`)
      child.kill('SIGKILL')
    }, CLOSE_MS_MAX)
    const asked = this.ask('close', {}, CLOSE_MS_MAX)
    this.#isOpen = false
    void asked.catch((error: OperationError) => {
      if (error.code !== LOST && !this.mayFail) {
        this.#onProblem(`node ${this.nodeId} did not close: ${error.message}`)
      }
    })
    await ended
    clearTimeout(timer)
    if (child.exitCode !== 0 && child.signalCode === null && !this.mayFail) {
      this.#onProblem(`node ${this.nodeId} ended with ${child.exitCode} when it was closed`)
    }
  }

  /** From now on every write to a file fails. @returns false when the system cannot do that */
  breakDisk(): boolean {
    const pid = this.#child?.pid
    if (pid === undefined) return false
    try {
      execFileSync('prlimit', ['--pid', String(pid), '--fsize=0'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }

  #ended(): Promise<void> {
    const child = this.#child
    if (child === undefined) return Promise.resolve()
    return new Promise(resolve => child.once('exit', () => resolve()))
  }
}
