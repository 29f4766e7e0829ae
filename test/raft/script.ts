/**
 * Scripts: text files of commands with the output expected of each (Pebble's data-driven tests):
 *
 *   command argument key=value key=(a,b)
 *   further lines of input
 *   ----
 *   what it prints, up to an empty line
 */

export interface Command {
  /** Line of the command in its file, from 1. */
  readonly line: number
  readonly name: string
  /** Arguments without '=', in order. */
  readonly words: readonly string[]
  /** Those with '=': the values within parentheses, or the one value. */
  readonly options: ReadonlyMap<string, readonly string[]>
  /** The command's line after its name, as it stands. */
  readonly rest: string
  /** Lines between the command and '----'. */
  readonly input: readonly string[]
  readonly expected: string
  /** The lines of the file that expected takes, from 0, the last one excluded. */
  readonly answer: { readonly from: number; readonly to: number }
}

/** @throws Error naming the line of what is no script */
export function parseScript(text: string): Command[] {
  const lines = text.split('\n')
  const commands: Command[] = []
  let at = 0
  while (at < lines.length) {
    if (lines[at].trim() === '' || lines[at].startsWith('#')) {
      at++
      continue
    }
    const rule = lines.indexOf('----', at)
    if (rule < 0) throw new Error(`line ${at + 1}: no ---- after the command`)
    const end = lines.findIndex((line, i) => i > rule && line.trim() === '')
    const answer = { from: rule + 1, to: end < 0 ? lines.length : end }
    commands.push({
      ...parseCommand(lines[at]),
      line: at + 1,
      input: lines.slice(at + 1, rule),
      expected: lines.slice(answer.from, answer.to).join('\n'),
      answer,
    })
    at = answer.to
  }
  return commands
}

function parseCommand(line: string): Pick<Command, 'name' | 'words' | 'options' | 'rest'> {
  const [, name, rest] = /^(\S+)\s*(.*)$/.exec(line) ?? ['', '', '']
  const words: string[] = []
  const options = new Map<string, readonly string[]>()
  for (const [token] of rest.matchAll(/[^\s(]*\([^)]*\)|\S+/g)) {
    const [, key, value] = /^([^=]+)=(.*)$/.exec(token) ?? []
    if (key === undefined) words.push(token)
    else options.set(key, valuesOf(value))
  }
  return { name, words, options, rest: rest.trim() }
}

function valuesOf(value: string): string[] {
  const inner = value.replace(/^\(|\)$/g, '')
  return inner === '' ? [] : inner.split(',').map(part => part.trim())
}

/** The option's one value. */
export function option(command: Command, name: string): string | undefined {
  return command.options.get(name)?.[0]
}

/** @throws Error when it is there and no number */
export function numberOption(command: Command, name: string): number | undefined {
  const text = option(command, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isNaN(value)) throw new Error(`${name}=${text} is no number`)
  return value
}

export function numbers(values: readonly string[] = []): number[] {
  return values.map(Number)
}
