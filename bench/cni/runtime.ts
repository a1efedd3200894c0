/** The container runtime: a C program, so that starting a plugin costs what it costs a runtime, and not what Node takes. */
import {basename, join} from 'node:path'
import type {Run} from '../../src/lab/run.ts'
import type {Site} from '../site.ts'

/** One start of a plugin. */
export interface Job {
  readonly program: string
  readonly input: object
  readonly env: Readonly<Record<string, string>>
}

/** What became of it. */
export interface Call {
  /** Milliseconds from the first start of all. */
  readonly at: number
  /** Milliseconds, from before the process is made until it has ended. */
  readonly ms: number
  /** Milliseconds on a processor, of the process and those that it waited for. */
  readonly cpu: number
  readonly status: number
  readonly output: string
}

/** Starts the jobs in the namespace of a site, so many at once. Resolves with what became of each, in their order. */
export type Runtime = (site: Site, jobs: readonly Job[], atOnce: number) => Promise<Call[]>

export async function buildRuntime(run: Run): Promise<Runtime> {
  const runtime = await compile(run, 'runtime', '-pthread')
  return async (site, jobs, atOnce) => {
    const lines = jobs.map(({program, input, env}) =>
      [program, JSON.stringify(input), ...Object.entries(env).map(([name, value]) => `${name}=${value}`)].join('\t'),
    )
    const input = lines.map(line => `${line}\n`).join('')
    const output = await run.exec(runtime, [`${Math.min(atOnce, jobs.length)}`], {netns: site.name, input})
    return output.split('\n').slice(0, jobs.length).map(parseCall)
  }
}

/** Milliseconds from the first start until the last has ended. */
export const wholeTime = (calls: readonly Call[]): number => Math.max(...calls.map(({at, ms}) => at + ms))

/** Of a C file of this folder: the program. */
export const compile = (run: Run, name: string, ...flags: string[]): Promise<string> =>
  compileFile(run, join(import.meta.dirname, `${name}.c`), ...flags)

export async function compileFile(run: Run, file: string, ...flags: string[]): Promise<string> {
  const program = join(run.folder, basename(file, '.c'))
  await run.exec('cc', ['-O2', ...flags, '-o', program, file])
  return program
}

/** The same as the shim is made (scripts/build-shim): static, with the small C library where there is one. */
export async function compileSmall(run: Run, name: string): Promise<string> {
  const program = join(run.folder, name)
  const [cc = 'cc'] = (await run.exec('sh', ['-c', 'command -v musl-gcc || command -v cc'])).split('\n')
  await run.exec(cc, ['-Os', '-static', '-s', '-o', program, join(import.meta.dirname, `${name}.c`)])
  return program
}

function parseCall(line: string): Call {
  const [, at, ns, status, cpu, output] = /^(\d+) (\d+) (\d+) (\d+) (.*)$/.exec(line) ?? []
  if (output === undefined) throw new Error(`the runtime says "${line}"`)
  return {at: Number(at) / 1e6, ms: Number(ns) / 1e6, cpu: Number(cpu) / 1e6, status: Number(status), output}
}
