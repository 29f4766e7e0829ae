/**
 * Goal: the house rules hold in every file, and each breach says what to do instead.
 * Method: reads all sources as text; the import rule is tried on made-up sources first, so that the
 * checker itself is known to catch breaches.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import test from 'node:test'
import { ERROR_CODES } from '../src/codec/errors.ts'

/** What each part of src may import; index.ts and level.ts may import all of it. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'src/codec/': ['src/codec/'],
  'src/shared/': ['src/codec/', 'src/shared/'],
  'src/workers/': ['src/codec/', 'src/shared/', 'src/workers/'],
  'src/main/': ['src/codec/', 'src/shared/', 'src/main/'],
}
const PUBLIC_ENTRIES: readonly string[] = ['src/index.ts', 'src/level.ts']
/** Threads are started by URL, which is no import: the rings and messages in shared are between. */
const THREAD_ENTRIES: readonly string[] = [
  'src/workers/partition-worker.ts',
  'src/workers/io-thread.cts',
]
const COLUMNS_MAX = 100
/** Functions of their arguments: clock, random and disk come in from outside. */
const PURE = /^src\/(codec\/|shared\/(reads|writes)\/|workers\/domain\/|main\/raft\/)/
const IMPURE: readonly string[] = [
  'src/workers/domain/table-cache.ts',
  'src/workers/domain/table-set.ts',
]
const AMBIENT =
  /\bnew Date\(\)|\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\b/
const AMBIENT_MODULES = /^node:(fs|crypto|timers|perf_hooks|child_process|net)(\/|$)/

interface Import {
  kind: 'import' | 'url'
  specifier: string
  line: number
}

const root = projectRoot(import.meta.dirname)
const files = ['src', 'test', 'bench', 'examples'].flatMap(sourcesIn)
const textOf = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]))
const isSource = (file: string): boolean => file.startsWith('src/')

function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}

function sourcesIn(folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names
    .map(name => posix.join(folder, name.replaceAll('\\', '/')))
    .filter(name => /\.c?ts$/.test(name) && !name.includes('/node_modules/'))
    .sort()
}

/** The code with comments (and, if asked, the insides of strings) blanked, line breaks kept. */
function code(text: string, keepStrings: boolean): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g
  return text.replace(token, found =>
    keepStrings && !found.startsWith('/') ? found : found.replace(/[^\n]/g, ' '),
  )
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}

/** Every from '...', import '...', import('...') and new URL('...') of a file. */
function importsOf(text: string): Import[] {
  const source = code(text, true)
  const patterns = [/\bfrom\s*/, /\bimport\s*\(?\s*/, /\bnew\s+URL\s*\(\s*/]
  return patterns.flatMap((before, i) =>
    [...source.matchAll(new RegExp(`${before.source}['"\`]([^'"\`\\n]+)['"\`]`, 'g'))].map(
      ({ 1: specifier, index }): Import => ({
        kind: i === 2 ? 'url' : 'import',
        specifier,
        line: lineAt(source, index),
      }),
    ),
  )
}

/** The file that a relative import names, from the project's root; compiled: .js and .cjs. */
function targetOf(file: string, { specifier }: Import): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(file), specifier).replace(/\.(c?)js$/, '.$1ts')
}

function importBreaches(file: string, text: string): string[] {
  const layer = Object.keys(LAYERS).find(folder => file.startsWith(folder))
  const allowed = layer === undefined ? Object.values(LAYERS).flat() : LAYERS[layer]
  return importsOf(text).flatMap(found => {
    const at = `${file}:${found.line}`
    const target = targetOf(file, found)
    if (target === undefined) return []
    if (found.kind === 'import' && !found.specifier.endsWith('.ts')) {
      return [`${at}: '${found.specifier}' must be written with its ending, .ts`]
    }
    if (!isSource(file)) return []
    if (PUBLIC_ENTRIES.includes(target)) {
      return [`${at}: ${target} is for users of the package; import the file that has the thing`]
    }
    if (found.kind === 'url' && THREAD_ENTRIES.includes(target)) return []
    if (allowed.some(folder => target.startsWith(folder))) return []
    return [
      `${at}: ${target} is above or beside ${layer ?? 'the entry'}; move what is needed down to ` +
        `one of ${allowed.join(', ')} or pass it in`,
    ]
  })
}

function linesWith(file: string, text: string, pattern: RegExp, advice: string): string[] {
  return text
    .split('\n')
    .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${advice}`] : []))
}

function none(breaches: readonly string[]): void {
  assert.equal(breaches.length, 0, `\n${breaches.join('\n')}\n`)
}

function breachesIn(
  isChecked: (file: string) => boolean,
  check: (file: string, text: string) => string[],
): string[] {
  return [...textOf].flatMap(([file, text]) => (isChecked(file) ? check(file, text) : []))
}

test('the import check catches what goes up, sideways, to an entry or lacks .ts', () => {
  const breaches: [string, string][] = [
    ['src/codec/a.ts', "import { x } from '../shared/b.ts'"],
    ['src/codec/table/a.ts', "export * from '../../main/b.ts'"],
    ['src/shared/a.ts', "import type { X } from '../workers/b.ts'"],
    ['src/workers/io/a.ts', "import {\n  x,\n} from '../../main/b.ts'"],
    ['src/main/a.ts', "import '../workers/b.ts'"],
    ['src/main/a.ts', "const b = await import('../workers/b.ts')"],
    ['src/main/a.ts', "type B = import('../workers/b.ts').B"],
    ['src/main/a.ts', "new URL('../workers/b.js', import.meta.url)"],
    // A thread that piscina begins must not be an ES module: see io-thread.cts.
    ['src/main/a.ts', "new URL('../workers/io-worker.js', import.meta.url)"],
    ['src/shared/a.ts', "new URL('../main/b.js', import.meta.url)"],
    ['src/main/a.ts', "import { x } from '../index.ts'"],
    ['src/level.ts', "import { x } from './index.ts'"],
    ['src/main/a.ts', "import { x } from '../../test/b.ts'"],
    ['src/main/a.ts', "import { x } from './b'"],
    ['test/a.test.ts', "import { x } from '../src/codec/b.js'"],
  ]
  for (const [file, text] of breaches) assert.equal(importBreaches(file, text).length, 1, text)
  assert.match(importBreaches('src/codec/a.ts', `\n\n${breaches[0][1]}`)[0], /a\.ts:3: /)
})

test('the import check lets pass what goes down, starts a thread or is only talked about', () => {
  const fine: [string, string][] = [
    ['src/codec/table/a.ts', "import { x } from '../b.ts'"],
    ['src/shared/reads/a.ts', "import { x } from '../../codec/b.ts'"],
    ['src/main/log/a.ts', "import { x } from '../../shared/b.ts'"],
    ['src/index.ts', "export { x } from './main/b.ts'"],
    ['src/codec/a.ts', "import fs from 'node:fs'\nimport lz4 from 'lz4-wasm-nodejs'"],
    ['src/main/a.ts', "new URL('../workers/io-thread.cjs', import.meta.url)"],
    ['src/codec/a.ts', "// from '../main/b.ts'\n/* import('../main/b.ts') */"],
    ['test/a.test.ts', "import { x } from '../src/index.ts'"],
  ]
  for (const [file, text] of fine) assert.deepEqual(importBreaches(file, text), [], text)
})

/** A circle of imports, types included, with its first file again at its end. */
function circleIn(texts: ReadonlyMap<string, string>): string[] | undefined {
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] | undefined => {
    const at = path.indexOf(file)
    if (at >= 0) return [...path.slice(at), file]
    const text = texts.get(file)
    if (text === undefined || done.has(file)) return undefined
    for (const found of importsOf(text)) {
      const target = found.kind === 'import' ? targetOf(file, found) : undefined
      const circle = target === undefined ? undefined : walk(target, [...path, file])
      if (circle !== undefined) return circle
    }
    done.add(file)
    return undefined
  }
  for (const file of texts.keys()) {
    const circle = walk(file, [])
    if (circle !== undefined) return circle
  }
  return undefined
}

test('the circle check finds a circle, and none where two ways lead to one file', () => {
  const [toB, toC, toD] = ['b', 'c', 'd'].map(name => `import type { X } from './${name}.ts'\n`)
  const tree = { 'src/a.ts': toB + toC, 'src/b.ts': toD, 'src/c.ts': toD, 'src/d.ts': '' }
  assert.equal(circleIn(new Map(Object.entries(tree))), undefined)
  const circle = { ...tree, 'src/d.ts': toC }
  const found = circleIn(new Map(Object.entries(circle)))
  assert.deepEqual(found, ['src/d.ts', 'src/c.ts', 'src/d.ts'])
})

test('no file imports itself by way of others', () => {
  const sources = new Map([...textOf].filter(([file]) => isSource(file)))
  assert.equal(circleIn(sources)?.join(' -> '), undefined)
})

test('imports go down only and are written with .ts', () => {
  // This file has made-up sources with breaches in it, as strings.
  none(breachesIn(file => file !== 'test/tidy.test.ts', importBreaches))
})

test('every source file is imported by another', () => {
  const imported = new Set(
    [...textOf].flatMap(([file, text]) =>
      isSource(file) ? importsOf(text).map(found => targetOf(file, found)) : [],
    ),
  )
  const isEntry = (file: string): boolean =>
    PUBLIC_ENTRIES.includes(file) ||
    THREAD_ENTRIES.includes(file) ||
    file.startsWith('src/main/cli/')
  const unused = files.filter(file => isSource(file) && !isEntry(file) && !imported.has(file))
  none(unused.map(file => `${file}:1: nothing in src imports this; use it or delete it`))
})

test('pure cores touch no clock, random source, timer or disk', () => {
  const isPure = (file: string): boolean => PURE.test(file) && !IMPURE.includes(file)
  const advice = 'take clock, random and timers as arguments, as the callers of this core do'
  none([
    ...breachesIn(isPure, (file, text) => linesWith(file, code(text, false), AMBIENT, advice)),
    ...breachesIn(isPure, (file, text) =>
      importsOf(text)
        .filter(({ specifier }) => AMBIENT_MODULES.test(specifier))
        .map(
          ({ specifier, line }) => `${file}:${line}: take what ${specifier} does as an argument`,
        ),
    ),
  ])
})

test('src does not write to the console', () => {
  const advice = 'log through the Logger of the options, or throw'
  none(
    breachesIn(isSource, (file, text) =>
      linesWith(file, code(text, false), /\bconsole\s*\./, advice),
    ),
  )
})

test(`no line of src has more than ${COLUMNS_MAX} columns`, () => {
  const tooLong = new RegExp(`^.{${COLUMNS_MAX + 1},}$`, 'u')
  const advice = `break the line; at most ${COLUMNS_MAX} columns`
  none(breachesIn(isSource, (file, text) => linesWith(file, text, tooLong, advice)))
})

test('nothing is left for later', () => {
  const marker = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X'.repeat(3)].join('|')})\\b`)
  const advice = 'do it now, or open an issue and say why it is not done'
  none(
    breachesIn(
      () => true,
      (file, text) => linesWith(file, text, marker, advice),
    ),
  )
})

test('every source file says at its top, or before its first export, what it is for', () => {
  const hasHeader = (text: string): boolean => {
    if (/^(#!.*\n)?\/\*\*/.test(text)) return true
    const beforeExport = text.slice(0, Math.max(0, text.search(/^export /m))).trimEnd()
    return beforeExport.endsWith('*/') && beforeExport.includes('/**')
  }
  const advice = 'begin with a /** comment */: the noun of this file and its one idea'
  none(breachesIn(isSource, (file, text) => (hasHeader(text) ? [] : [`${file}:1: ${advice}`])))
})

test('docs/errors.md has a section for every error code and for no other', () => {
  const text = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const sections = [...text.matchAll(/^## `?([A-Z][A-Z_]+)`?$/gm)].map(match => match[1])
  assert.deepEqual([...sections].sort(), [...ERROR_CODES].sort())
})

test('every page of docs is linked from README.md or docs/ARCHITECTURE.md', t => {
  const indexes = ['README.md', 'docs/ARCHITECTURE.md'].filter(file => existsSync(join(root, file)))
  if (indexes.length === 0) return t.skip('neither of them is written yet')
  const linked = new Set(
    indexes.flatMap(file =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/\]\(([^)#\s]+)/g)].map(({ 1: link }) =>
        posix.join(posix.dirname(file), link),
      ),
    ),
  )
  const pages = readdirSync(join(root, 'docs'))
    .filter(name => name.endsWith('.md') && name !== 'ARCHITECTURE.md')
    .map(name => `docs/${name}`)
  const lost = pages.filter(page => !linked.has(page))
  none(lost.map(page => `${page}:1: link it from ${indexes.join(' or ')}`))
})
