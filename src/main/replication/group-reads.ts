/**
 * Linearizable reads of one group that wait for their index. Those of one turn share a question and
 * its promise; one that gets no answer, because a message or the leader was lost, is asked again.
 */
import { MetastoreError } from '../../codec/errors.ts'

/** Ticks after which a question counts as lost. */
const LOST_TICKS = 3

/** All reads of a turn. */
interface Waiter {
  readonly index: Promise<number>
  readonly resolve: (index: number) => void
  readonly reject: (error: Error) => void
  ticks: number
}

interface Question {
  waiters: Waiter[]
  ticks: number
}

export class GroupReads {
  readonly #ask: (context: number) => boolean
  /** By context. */
  readonly #asked = new Map<number, Question>()
  #unasked: Waiter[] = []
  readonly #ticksMax: number
  /** The one of this turn, which is among them. */
  #newest: Waiter | undefined
  #context: number
  #failure: Error | undefined

  /**
   * @param ask puts a question to the core; false when it knows no leader
   * @param firstContext no earlier life of this node has used it or the next ones
   * @param ticksMax after so many a read is refused, so that they do not pile up without a leader
   */
  constructor(ask: (context: number) => boolean, firstContext: number, ticksMax: number) {
    this.#ask = ask
    this.#context = firstContext
    this.#ticksMax = ticksMax
  }

  /**
   * Asked with the next send(); the same promise for all until then. Rejects with UNAVAILABLE when
   * the leader does not confirm it.
   */
  ask(): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#newest === undefined) {
      this.#newest = newWaiter()
      this.#unasked.push(this.#newest)
    }
    return this.#newest.index
  }

  send(): void {
    this.#newest = undefined
    if (this.#unasked.length === 0) return
    const context = this.#context++
    // Without a leader they wait for the next tick.
    if (!this.#ask(context)) return
    this.#asked.set(context, { waiters: this.#unasked, ticks: 0 })
    this.#unasked = []
  }

  /** Of two answers to one question the second finds nobody. */
  release(context: number, index: number): void {
    const question = this.#asked.get(context)
    if (question === undefined) return
    this.#asked.delete(context)
    for (const { resolve } of question.waiters) resolve(index)
  }

  /** The leader has changed. */
  drop(context: number): void {
    const question = this.#asked.get(context)
    if (question === undefined) return
    this.#asked.delete(context)
    this.#unasked.push(...question.waiters)
  }

  tick(): void {
    this.#unasked = this.#refuseOld(this.#unasked)
    for (const [context, question] of this.#asked) {
      question.waiters = this.#refuseOld(question.waiters)
      if (++question.ticks >= LOST_TICKS) this.drop(context)
    }
  }

  /** @returns those who go on waiting */
  #refuseOld(waiters: readonly Waiter[]): Waiter[] {
    return waiters.filter(waiter => {
      if (++waiter.ticks < this.#ticksMax) return true
      waiter.reject(new MetastoreError('UNAVAILABLE', 'no leader has confirmed the read in time'))
      return false
    })
  }

  /** Nothing will be confirmed any more. */
  fail(error: Error): void {
    this.#failure ??= error
    const waiters = [...this.#unasked, ...[...this.#asked.values()].flatMap(of => of.waiters)]
    this.#unasked = []
    this.#newest = undefined
    this.#asked.clear()
    for (const { reject } of waiters) reject(error)
  }
}

function newWaiter(): Waiter {
  let [resolve, reject]: [Waiter['resolve'], Waiter['reject']] = [() => {}, () => {}]
  const index = new Promise<number>((onIndex, onError) => {
    resolve = onIndex
    reject = onError
  })
  return { index, resolve, reject, ticks: 0 }
}
