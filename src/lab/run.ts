/** One run of a lab: its id and folder, the processes it starts, and its end. */
import {type ChildProcess, type StdioOptions, spawn} from 'node:child_process'
import {randomInt} from 'node:crypto'
import {once} from 'node:events'
import {mkdir} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {ENVIRONMENT, MARK, removeRun} from './clean.ts'

export interface SpawnOptions {
  /** The namespace's name to run in. @default the lab's own */
  readonly netns?: string
  /** Beside the lab's own. */
  readonly env?: Readonly<Record<string, string>>
  /** @default all three ignored */
  readonly stdio?: StdioOptions
}

/** Something of the run is still there: the message says what. */
export class LeftBehind extends Error {}

export class Run {
  readonly id: string
  /** Only root may look into it. */
  readonly folder: string
  readonly #watchdog: ChildProcess
  #end: Promise<void> | undefined

  static async start(): Promise<Run> {
    for (;;) {
      const id = Array.from({length: 5}, () => 'abcdefghijkmnpqrstuvwxyz23456789'[randomInt(32)]).join('')
      const folder = join(tmpdir(), `ng-${id}-lab`)
      try {
        await mkdir(folder, {mode: 0o700})
        return new Run(id, folder)
      } catch (error) {
        // Another run has the same id.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }
  }

  private constructor(id: string, folder: string) {
    this.id = id
    this.folder = folder
    const script = join(import.meta.dirname, 'watchdog.ts')
    // In a session of its own, where Ctrl-C and a closed terminal do not reach it; without the mark.
    this.#watchdog = spawn(process.execPath, [script, id, folder], {
      cwd: '/',
      env: ENVIRONMENT,
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#watchdog.on('error', () => {})
    this.#watchdog.stdin!.on('error', () => {})
  }

  /** Marked as this run's, in a session of its own: only the lab ends it. Rejects if it cannot be started. */
  async spawn(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<ChildProcess> {
    if (this.#end) throw new Error('the lab has ended')
    const {netns, stdio = 'ignore', env} = options
    const line = netns === undefined ? [command, ...args] : ['nsenter', `--net=/run/netns/${netns}`, command, ...args]
    const child = spawn(line[0]!, line.slice(1), {
      cwd: this.folder,
      env: {...ENVIRONMENT, HOME: this.folder, [MARK]: this.id, ...env},
      detached: true,
      stdio,
    })
    await once(child, 'spawn')
    return child
  }

  /** Runs a command to its end and gives its standard output. Rejects with its standard error if it fails. */
  async exec(
    command: string,
    args: readonly string[],
    options: {netns?: string; input?: string; env?: Readonly<Record<string, string>>} = {},
  ): Promise<string> {
    const {input = '', ...rest} = options
    const child = await this.spawn(command, args, {...rest, stdio: 'pipe'})
    let output = ''
    let complaint = ''
    child.stdout!.setEncoding('utf8').on('data', text => (output += text))
    child.stderr!.setEncoding('utf8').on('data', text => (complaint += text))
    child.stdin!.on('error', () => {}).end(input)
    const [code, signal] = await once(child, 'close')
    if (code === 0) return output
    throw new Error(`${command} ${args.join(' ')}: ${complaint.trim() || output.trim() || signal || `exit ${code}`}`)
  }

  addNamespaces(names: readonly string[]): Promise<string> {
    return this.exec('ip', ['-batch', '-'], {input: names.map(name => `netns add ${name}\n`).join('')})
  }

  /** Removes everything of this run; rejects if something stays. May be called again. */
  end(): Promise<void> {
    this.#end ??= this.#remove()
    return this.#end
  }

  async #remove(): Promise<void> {
    const watchdog = this.#watchdog
    watchdog.stdin!.end()
    if (watchdog.pid !== undefined && watchdog.exitCode === null && watchdog.signalCode === null)
      await once(watchdog, 'close')
    if (watchdog.exitCode === 0) return
    // Somebody has ended the watchdog, or it did not succeed.
    await removeRun(this.id, this.folder).catch(error => {
      throw new LeftBehind(`the lab could not remove everything: ${(error as Error).message}`)
    })
  }
}
