/** Runs a script and compares what it prints with what it should. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ClusterCommands } from './cluster-commands.ts'
import { ConfchangeCommands } from './confchange-commands.ts'
import { runQuorumCommand } from './quorum-commands.ts'
import { type Command, parseScript } from './script.ts'

/** Where package.json lies: compiled tests run elsewhere than scripts lie. */
export const projectRoot: string = rootFrom(import.meta.dirname)
export const ownTranscripts: string = join(projectRoot, 'test/raft/transcripts')

function rootFrom(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootFrom(dirname(folder))
}

export interface Failure {
  readonly line: number
  readonly command: string
  readonly expected: string
  readonly actual: string
}

/** All files at or below `path`, sorted; no documentation. */
export function scriptsIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map(name => join(path, name))
    .filter(file => statSync(file).isFile() && !file.endsWith('.md'))
    .sort()
}

/** A script's own world: @returns what runs its commands, one after the other. */
export function scriptRunner(): (command: Command) => string {
  const cluster = new ClusterCommands()
  const configuration = new ConfchangeCommands()
  return command => {
    const printed = runQuorumCommand(command) ?? configuration.run(command) ?? cluster.run(command)
    if (printed === undefined) throw new Error(`unknown command: ${command.name}`)
    return printed
  }
}

/** The first command whose output differs: what follows it would only differ as well. */
export function runScript(file: string): Failure | undefined {
  const commands = commandsOf(file)
  if (!Array.isArray(commands)) return commands
  const run = scriptRunner()
  for (const command of commands) {
    const actual = printed(() => run(command))
    const { line, name, rest, expected } = command
    if (!isSameAnswer(actual, expected)) {
      return { line, command: `${name} ${rest}`.trim(), expected, actual }
    }
  }
  return undefined
}

export function isSameAnswer(actual: string, expected: string): boolean {
  return normal(actual) === normal(expected)
}

/** A file without commands is no script: it must not pass. */
function commandsOf(file: string): Command[] | Failure {
  try {
    const commands = parseScript(readFileSync(file, 'utf8'))
    if (commands.length > 0) return commands
    throw new Error('no commands')
  } catch (error) {
    return { line: 1, command: '', expected: 'a script', actual: String(error) }
  }
}

function printed(run: () => string): string {
  try {
    return run()
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}

/**
 * Spaces at the ends of lines and empty lines at the end are none of the format. Some recordings say
 * of a command whose output was switched off that it was quiet.
 */
function normal(text: string): string {
  if (text.trim() === 'ok (quiet)') return 'ok'
  return text.replace(/[ \t]+$/gm, '').trimEnd()
}

export function describeFailure(file: string, failure: Failure): string {
  const { line, command, expected, actual } = failure
  return `${file}:${line}: ${command}\nexpected:\n${expected}\nactual:\n${actual}\n`
}
