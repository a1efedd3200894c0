/** The lab's command as a child process, and what must not be left of it. */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readdirSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import {markedProcesses, namespacesOf} from '../../src/lab/clean.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'lab', 'main.ts')
/** Milliseconds. */
const PATIENCE = 60_000

export class LabCommand {
  readonly child: ChildProcess
  output = ''
  errors = ''
  /** Of its own, so that nothing else is in it. */
  readonly #folder: string

  constructor(t: ExecutionContext, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#folder = mkdtempSync(join(tmpdir(), 'ng-labtest-'))
    this.child = spawn(process.execPath, [MAIN, ...args], {
      env: {...process.env, KUBEBUILDER_ASSETS: '', ...env, TMPDIR: this.#folder},
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout!.setEncoding('utf8').on('data', text => (this.output += text))
    this.child.stderr!.setEncoding('utf8').on('data', text => (this.errors += text))
    t.teardown(() => {
      this.child.kill('SIGKILL')
      rmSync(this.#folder, {recursive: true, force: true, maxRetries: 5})
    })
  }

  /** The exit status, or the signal that ended it. */
  async end(): Promise<number | string> {
    const {child} = this
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    return child.exitCode ?? child.signalCode!
  }

  /** The run's id, as soon as it has one. */
  async id(): Promise<string> {
    return until(() => /^ng-(.*)-lab$/.exec(readdirSync(this.#folder)[0] ?? '')?.[1], 'the folder of the run')
  }

  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    return until(() => pattern.exec(this.output), `${pattern} in:\n${this.output}${this.errors}`)
  }

  leftOvers(id: string): Promise<string[]> {
    return leftOvers(id, join(this.#folder, `ng-${id}-lab`))
  }
}

/** Namespaces, processes and the folder of a run. */
export async function leftOvers(id: string, folder: string): Promise<string[]> {
  const processes = (await markedProcesses(id)).map(pid => `process ${pid}`)
  return [...(await namespacesOf(id)), ...processes, ...(existsSync(folder) ? [folder] : [])]
}

/** Waits until `look` finds something that is not undefined, null or false. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== null && found !== false) return found as never
    if (performance.now() > deadline) throw new Error(`not seen: ${what}`)
    await delay(20)
  }
}

/** What it prints, errors too. */
export const kubectl = (kubeconfig: string, ...args: string[]): string => {
  const {stdout, stderr} = spawnSync('kubectl', ['--kubeconfig', kubeconfig, ...args], {encoding: 'utf8'})
  return (stdout + stderr).trim()
}
