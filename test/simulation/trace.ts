/** What happened, line by line; costs nothing while nobody keeps it. */

export type Trace = (line: () => string) => void

export const NO_TRACE: Trace = () => {}

export class Transcript {
  readonly lines: string[] = []
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  readonly trace: Trace = line => {
    this.lines.push(`${this.#nowMs().toFixed(2).padStart(9)}  ${line()}`)
  }
}
