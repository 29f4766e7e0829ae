/**
 * Recording: puts what its commands print now into a script. A command that fails is not recorded,
 * nor is anything of its file: a stack trace is no answer, and neither is what breaks safety.
 */
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { sep } from 'node:path'
import { isSameAnswer, scriptRunner, scriptsIn } from './run-script.ts'
import { parseScript } from './script.ts'

/**
 * Rewrites the answers of the scripts at or below `path`, in place.
 * @param home the only folder where scripts are rewritten; links are followed before that is asked
 * @returns the files that have changed
 * @throws Error for a path outside of `home`, or naming file and line of a command that fails
 */
export function recordScripts(path: string, home: string): string[] {
  const files = scriptsIn(path)
  for (const file of files) {
    if (!realpathSync(file).startsWith(realpathSync(home) + sep)) {
      throw new Error(`${file} is not below ${home}: its answers are not ours to change`)
    }
  }
  return files.filter(file => {
    const before = readFileSync(file, 'utf8')
    const after = recorded(file, before)
    if (after !== before) writeFileSync(file, after)
    return after !== before
  })
}

function recorded(file: string, text: string): string {
  const lines = text.split('\n')
  const run = scriptRunner()
  // From the end, so that the places of the answers before stay right.
  const answers = parseScript(text).map(command => {
    try {
      return { ...command.answer, expected: command.expected, actual: run(command).trimEnd() }
    } catch (error) {
      throw new Error(`${file}:${command.line}: ${command.name} fails`, { cause: error })
    }
  })
  for (const { from, to, expected, actual } of answers.reverse()) {
    if (actual.includes('\n\n')) throw new Error(`${file}: an answer with an empty line`)
    if (!isSameAnswer(actual, expected)) lines.splice(from, to - from, ...actual.split('\n'))
  }
  return lines.join('\n')
}
