/**
 * The workshop: a copy of what is compiled and of the sources, in a folder of the project, so that
 * packages resolve and tests find the project's root. The project itself is never changed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Mutant, mutated } from './mutant.ts'
import type { Suite } from './suites.ts'

const CORE = 'src/main/raft'
/** A mutant that fills memory instead of looping is ended by that. */
const HEAP_MIB_MAX = 1024
const COMPILE_MS_MAX = 120_000
/** Of what a program says, for messages. */
const OUTPUT_CHARS_MAX = 10_000

/** How a program ended: 'late' was ended for its time. */
export type Ending = 'passed' | 'failed' | 'late'

export class Workshop {
  readonly #root: string
  readonly #running: Set<ChildProcess> = new Set()
  /** Compiled files; the sources are in a folder of it. */
  readonly folder: string

  constructor(root: string) {
    this.#root = root
    this.folder = join(root, '.build-mutants')
  }

  /** Copies all. What an earlier run may have left is removed. */
  async open(): Promise<void> {
    await this.close()
    await mkdir(this.#source(''), { recursive: true })
    for (const part of ['src', 'test']) {
      await cp(join(this.#root, '.build', part), join(this.folder, part), { recursive: true })
    }
    await cp(join(this.#root, 'src'), this.#source('src'), { recursive: true })
    const configuration = {
      extends: '../../tsconfig.test.json',
      // What a mutant leaves out may leave names without a use.
      compilerOptions: {
        rootDir: '.',
        outDir: '..',
        noUnusedLocals: false,
        noUnusedParameters: false,
      },
      include: [CORE],
      // Not the folder of compiled files, as else: the sources are in it.
      exclude: [],
    }
    await writeFile(this.#source('tsconfig.json'), JSON.stringify(configuration))
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Compiles the core as it is. @throws Error when that fails */
  async compile(): Promise<void> {
    const compiler = join(this.#root, 'node_modules/typescript/bin/tsc')
    const args = [compiler, '-p', this.#source('')]
    const { ending, output } = await this.#node(args, {}, COMPILE_MS_MAX)
    if (ending !== 'passed') throw new Error(`the core does not compile:\n${output}`)
  }

  /** Compiles the core with the mutant, and calls back. @throws Error when it is out of date */
  async with<T>(mutant: Mutant, use: () => Promise<T>): Promise<T> {
    const file = this.#source(join(CORE, mutant.file))
    const text = await readFile(file, 'utf8')
    await writeFile(file, mutated(text, mutant))
    try {
      await this.compile()
      return await use()
    } catch (error) {
      throw new Error(`mutant '${mutant.name}'`, { cause: error })
    } finally {
      await writeFile(file, text)
    }
  }

  /** Runs the suite's programs until one does not pass. */
  async run({ programs, environment }: Suite, limitMs: number): Promise<Ending> {
    for (const program of programs) {
      const heap = `--max-old-space-size=${HEAP_MIB_MAX}`
      const args = [heap, join(this.folder, program)]
      const { ending } = await this.#node(args, environment, limitMs)
      if (ending !== 'passed') return ending
    }
    return 'passed'
  }

  /** Ends what runs, removes all: when the run is broken off. */
  abandon(): void {
    for (const child of this.#running) child.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }

  #source(path: string): string {
    return join(this.folder, 'source', path)
  }

  /** Node with these arguments, in the project's root. */
  #node(
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    limitMs: number,
  ): Promise<{ ending: Ending; output: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, args, {
        cwd: this.#root,
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      this.#running.add(child)
      let output = ''
      let isLate = false
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (output.length < OUTPUT_CHARS_MAX) output += text
      })
      const timer = setTimeout(() => {
        isLate = true
        child.kill('SIGKILL')
      }, limitMs)
      child.on('error', reject)
      child.on('close', code => {
        clearTimeout(timer)
        this.#running.delete(child)
        resolve({ ending: isLate ? 'late' : code === 0 ? 'passed' : 'failed', output })
      })
    })
  }
}
