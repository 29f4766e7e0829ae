/**
 * What clients asked and were told, with the order of those moments. One clock counts calls and
 * returns alike, so that no two moments are equal: an operation precedes another if it returned
 * before the other was called, and is concurrent with it otherwise.
 */
import assert from 'node:assert/strict'

export interface Operation<Input, Output> {
  /** Who asked; for people, the checker does not look at it. */
  readonly process: number
  readonly input: Input
  /** undefined: the client never learned it. The operation may have happened, or not at all. */
  output: Output | undefined
  readonly calledAt: number
  /** Infinity as long as the output is undefined. */
  returnedAt: number
}

/** Records operations as they happen. A process may have several under way. */
export class History<Input, Output> {
  readonly #operations = new Set<Operation<Input, Output>>()
  #now = 0

  /** In the order of their calls. Those under way count as never answered. */
  get operations(): Operation<Input, Output>[] {
    return [...this.#operations]
  }

  call(process: number, input: Input): Operation<Input, Output> {
    const calledAt = this.#now++
    const operation = { process, input, output: undefined, calledAt, returnedAt: Infinity }
    this.#operations.add(operation)
    return operation
  }

  /** The client learned the output. One that never does is left as it is. */
  return(operation: Operation<Input, Output>, output: Output): void {
    this.#assertUnderWay(operation)
    operation.output = output
    operation.returnedAt = this.#now++
  }

  /** It surely did not happen and never will: forgotten. A timeout or a lost link is not that. */
  refuse(operation: Operation<Input, Output>): void {
    this.#assertUnderWay(operation)
    this.#operations.delete(operation)
  }

  #assertUnderWay(operation: Operation<Input, Output>): void {
    assert.ok(this.#operations.has(operation), 'an operation of this history, not refused')
    assert.equal(operation.output, undefined, 'an operation returns once')
  }
}
