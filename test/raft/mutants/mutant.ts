/** A mutant: the core with one seeded bug. A test suite that is any good tells it from the core. */

export interface Mutant {
  /** What it does wrong; unique. */
  readonly name: string
  /** What it breaks: a section of the paper, or what is named. */
  readonly rule: string
  /** In src/main/raft. */
  readonly file: string
  /** Text of the file that occurs once in it. */
  readonly find: string
  readonly replacement: string
}

/** @throws Error when the text has not exactly one place to change: the mutant is out of date */
export function mutated(text: string, { name, file, find, replacement }: Mutant): string {
  const pieces = text.split(find)
  if (pieces.length !== 2) {
    throw new Error(`mutant '${name}': found ${pieces.length - 1} times in ${file}:\n${find}`)
  }
  return pieces.join(replacement)
}
