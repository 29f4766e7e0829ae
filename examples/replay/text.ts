/** Numbers for people. */

const THOUSANDS = /\B(?=(\d{3})+$)/g

/** 20 000 rather than 20000. */
export function count(value: number): string {
  return String(Math.round(value)).replace(THOUSANDS, ' ')
}

export function milliseconds(elapsedMs: number): string {
  return `${elapsedMs < 10 ? elapsedMs.toFixed(3) : count(elapsedMs)} ms`
}

export function mebibytes(sizeBytes: number): string {
  return `${(sizeBytes / (1024 * 1024)).toFixed(1)} MiB`
}

/** What fills the second column of a two-column block. */
export type Row = [name: string, value: string]

/** A heading, and under it rows of two columns. */
export function block(heading: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
  return `${[heading, ...lines].join('\n')}\n`
}
