/** A page with tables and plots (SVG) that needs nothing but itself. */
import { type Figure, WAYMARK } from './measure.ts'
import { COLUMNS, figureCells, type SetUp, setUpLines } from './report.ts'

const STYLE = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0; font-size: 12px }
td, th { border-bottom: 1px solid #ddd; padding: 2px 8px; text-align: right; white-space: nowrap }
td:nth-child(-n+3), th:nth-child(-n+3) { text-align: left }
svg { display: block; max-width: 100% } svg text { font: 12px system-ui, sans-serif }
.own { fill: #d9480f } .peer { fill: #4c6ef5 } .range { stroke: #222 }
`
const LABEL_WIDTH = 400
const PLOT_WIDTH = 480
const VALUE_WIDTH = 120
const ROW_HEIGHT = 20
const BAR_HEIGHT = 12
const WIDTH: number = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH

export function htmlReport(setUp: SetUp, figures: readonly Figure[]): string {
  const workloads = [...new Set(figures.map(({ workload }) => workload))]
  const sections = workloads.map(name =>
    section(
      name,
      figures.filter(({ workload }) => workload === name),
    ),
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Waymark benchmarks</title>
<style>${STYLE}</style></head><body>
<h1>Waymark benchmarks</h1>
<table>${setUpLines(setUp)
    .map(cells => row('td', cells))
    .join('')}</table>
<p>Orange is Waymark, blue are peers. Bars are medians, lines the range over the rounds. The ratio
is to the best peer in the same rounds.</p>
${sections.join('\n')}
</body></html>
`
}

function section(name: string, figures: readonly Figure[]): string {
  const table = `<table>${row('th', COLUMNS)}${figures.map(f => row('td', figureCells(f))).join('')}</table>`
  const timed = figures.filter(({ p50Us }) => p50Us !== undefined)
  const latencies =
    timed.length === 0 ? '' : `<h3>Latency, µs: p50 to p99, logarithmic</h3>${latencyPlot(timed)}`
  return `<h2>${escaped(name)}</h2><h3>${escaped(figures[0].unit)} a second</h3>
${ratePlot(figures)}${latencies}${table}`
}

function ratePlot(figures: readonly Figure[]): string {
  const most = Math.max(...figures.map(({ max }) => max))
  const x = (rate: number): number => LABEL_WIDTH + (rate / most) * PLOT_WIDTH
  return plot(figures, ({ median, min, max, ...figure }, y) => {
    const width = x(median) - LABEL_WIDTH
    return (
      `<rect class="${colour(figure)}" x="${LABEL_WIDTH}" y="${y - BAR_HEIGHT / 2}" ` +
      `width="${width.toFixed(1)}" height="${BAR_HEIGHT}"/>${range(x(min), x(max), y)}` +
      valueText(y, Math.round(median).toLocaleString('en'))
    )
  })
}

function latencyPlot(figures: readonly Figure[]): string {
  const all = figures.flatMap(({ p50Us = 1, p99Us = 1 }) => [p50Us, p99Us])
  const [least, most] = [Math.log(Math.min(...all)), Math.log(Math.max(...all))]
  const scale = PLOT_WIDTH / Math.max(most - least, 1e-9)
  const x = (us: number): number => LABEL_WIDTH + (Math.log(us) - least) * scale
  return plot(figures, ({ p50Us = 1, p99Us = 1, ...figure }, y) => {
    const dots = [p50Us, p99Us].map(
      us => `<circle class="${colour(figure)}" cx="${x(us).toFixed(1)}" cy="${y}" r="4"/>`,
    )
    const text = `${p50Us.toPrecision(3)} to ${p99Us.toPrecision(3)}`
    return `${range(x(p50Us), x(p99Us), y)}${dots.join('')}${valueText(y, text)}`
  })
}

/** A line for each figure. */
function plot(figures: readonly Figure[], draw: (figure: Figure, y: number) => string): string {
  const lines = figures.map((figure, i) => {
    const y = (i + 0.5) * ROW_HEIGHT
    const label = escaped(`${figure.store}: ${figure.variant}`)
    return `<text x="0" y="${y + 4}">${label}</text>${draw(figure, y)}`
  })
  const height = figures.length * ROW_HEIGHT
  return `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">${lines.join('')}</svg>`
}

function range(from: number, to: number, y: number): string {
  return `<line class="range" x1="${from.toFixed(1)}" x2="${to.toFixed(1)}" y1="${y}" y2="${y}"/>`
}

function valueText(y: number, text: string): string {
  return `<text x="${LABEL_WIDTH + PLOT_WIDTH + 8}" y="${y + 4}">${text}</text>`
}

function colour({ store }: Pick<Figure, 'store'>): string {
  return store === WAYMARK ? 'own' : 'peer'
}

function row(cell: 'td' | 'th', texts: readonly string[]): string {
  return `<tr>${texts.map(text => `<${cell}>${escaped(text)}</${cell}>`).join('')}</tr>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
