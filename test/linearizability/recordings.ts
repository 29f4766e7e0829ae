/**
 * Histories as others wrote them down: lines of Jepsen's log of a register against etcd, and lines
 * of EDN of a key-value store. Process, then invoke, ok, fail or info (never answered).
 */
import assert from 'node:assert/strict'
import { History, type Operation } from './history.ts'
import type { KeyValueInput, KeyValueOutput } from './key-value.ts'
import type { RegisterInput, RegisterOutput } from './register.ts'

const REGISTER_LINE = /^INFO +jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(\w+)\s+(.+)$/
const KEY_VALUE_FIELDS = [
  /\{:process (\d+)/,
  /:type :(invoke|ok)/,
  /:f :(\w+)/,
  /:key "([^"\\]*)"/,
  /:value (?:nil|"([^"\\]*)")\}/,
]
const KEY_VALUE_LINE = new RegExp(`^${KEY_VALUE_FIELDS.map(({ source }) => source).join(', ')}$`)

/** Each process has one operation under way, which its next line that is no invoke ends. */
class Recording<Input, Output> {
  readonly history: History<Input, Output> = new History()
  readonly #underWay = new Map<string, Operation<Input, Output>>()

  invoke(process: string, input: Input): void {
    assert.ok(!this.#underWay.has(process), `process ${process} is idle`)
    this.#underWay.set(process, this.history.call(Number(process), input))
  }

  end(process: string): Operation<Input, Output> {
    const operation = this.#underWay.get(process)
    assert.ok(operation, `process ${process} has an operation under way`)
    this.#underWay.delete(process)
    return operation
  }
}

export function registerRecording(text: string): Operation<RegisterInput, RegisterOutput>[] {
  const recording = new Recording<RegisterInput, RegisterOutput>()
  for (const [process, type, name, argument] of fieldsOf(text, REGISTER_LINE)) {
    if (type === 'invoke') {
      recording.invoke(process, registerInput(name, argument))
      continue
    }
    const operation = recording.end(process)
    // A cas fails where it found another value, which is an answer; a read fails without one.
    if (type === 'ok') recording.history.return(operation, registerOutput(name, argument))
    else if (type === 'fail' && name === 'cas') recording.history.return(operation, false)
    else if (type === 'fail') recording.history.refuse(operation)
  }
  return recording.history.operations
}

function registerInput(name: string, argument: string): RegisterInput {
  if (name === 'read') return { do: 'read' }
  if (name === 'write') return { do: 'write', to: Number(argument) }
  assert.equal(name, 'cas')
  const [from, to] = argument.slice(1, -1).split(' ').map(Number)
  return { do: 'cas', from, to }
}

function registerOutput(name: string, argument: string): RegisterOutput {
  if (name === 'cas') return true
  return name === 'write' || argument === 'nil' ? null : Number(argument)
}

export function keyValueRecording(text: string): Operation<KeyValueInput, KeyValueOutput>[] {
  const recording = new Recording<KeyValueInput, KeyValueOutput>()
  for (const [process, type, name, key, value] of fieldsOf(text, KEY_VALUE_LINE)) {
    assert.ok(name === 'get' || name === 'put' || name === 'append')
    if (type === 'invoke') {
      recording.invoke(process, name === 'get' ? { do: name, key } : { do: name, key, value })
    } else {
      recording.history.return(recording.end(process), name === 'get' ? value : null)
    }
  }
  return recording.history.operations
}

function fieldsOf(text: string, line: RegExp): string[][] {
  return text
    .trimEnd()
    .split('\n')
    .map(found => {
      const match = line.exec(found)
      assert.ok(match, `a line of the recording: ${found}`)
      return match.slice(1)
    })
}
