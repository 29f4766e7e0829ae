/** The state machine of one group at one node: keys and values, and a digest of all that it did. */
import { type ConfState, EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import type { Entry, Snapshot } from '../../src/main/raft/entry.ts'
import type { KeyValueInput } from '../linearizability/key-value.ts'

export interface Command {
  /** Of the client's call; nobody else has it. */
  readonly id: number
  readonly input: KeyValueInput
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify(command))
}

export class Machine {
  index = 0
  term = 0
  configuration: ConfState = EMPTY_CONF_STATE
  /** Two machines with the same index and digest have done the same. */
  digest = 0
  #values = new Map<string, string>()

  get(key: string): string {
    return this.#values.get(key) ?? ''
  }

  /** @returns the command that the entry carries, if it does */
  apply({ index, term, kind, payload }: Entry): Command | undefined {
    this.index = index
    this.term = term
    this.digest = mixed(mixed(mixed(this.digest, term), kind), payload.length)
    for (const byte of payload) this.digest = mixed(this.digest, byte)
    if (kind !== 1) return undefined
    const command = JSON.parse(decoder.decode(payload)) as Command
    const { input } = command
    if (input.do === 'put') this.#values.set(input.key, input.value)
    else if (input.do === 'append') this.#values.set(input.key, this.get(input.key) + input.value)
    return command
  }

  snapshot(): Snapshot {
    const { index, term, configuration, digest } = this
    const data = encoder.encode(JSON.stringify({ digest, values: [...this.#values] }))
    return { index, term, configuration, data }
  }

  restore({ index, term, configuration, data }: Snapshot): void {
    this.index = index
    this.term = term
    this.configuration = configuration
    if (data.length === 0) return
    const { digest, values } = JSON.parse(decoder.decode(data)) as {
      digest: number
      values: [string, string][]
    }
    this.digest = digest
    this.#values = new Map(values)
  }
}

function mixed(digest: number, value: number): number {
  return (Math.imul(digest ^ value, 0x01000193) + 1) | 0
}
