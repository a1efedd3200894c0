/** The parent's side of child/agent.ts: starts it on a test's node, tells it what to do, and sees it die. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {copyFile, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import type {ExecutionContext} from 'ava'
import {build} from 'esbuild'
import type {Order, Report} from './child/agent.ts'
import type {AgentOptions} from './child/front.ts'

const ADDON = join(import.meta.dirname, '..', '..', '..', 'build', 'netlink.node')

/** The program in one file, which starts in a quarter of the time: its path, in a folder of its own. */
export async function bundleAgent(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-faults-'))
  const outfile = join(folder, 'agent.mjs')
  await build({
    entryPoints: [join(import.meta.dirname, 'child', 'agent.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    logLevel: 'warning',
  })
  await copyFile(ADDON, join(folder, 'netlink.node'))
  return outfile
}

export class AgentProcess {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exit: Promise<unknown[]>
  #errors = ''

  /** `netns`: the node's. `disk`: bytes of a disk of its own for its state. It waits for its first order. */
  constructor(
    t: Pick<ExecutionContext, 'teardown'>,
    program: string,
    {netns, disk, ...options}: AgentOptions & {readonly netns: string; readonly disk?: number},
  ) {
    const {folder} = options
    const state = join(folder, 'state')
    const mounted = ['unshare', '--mount', 'sh', '-c', `mount -t tmpfs -o size=${disk} tmpfs "$0" && exec "$@"`, state]
    this.#child = spawn(
      'nsenter',
      [
        `--net=${netns}`,
        ...(disk === undefined ? [] : mounted),
        process.execPath,
        program,
        JSON.stringify({...options, netns: undefined}),
      ],
      // What is left in the folder for temporary files is to be seen.
      {env: {PATH: process.env.PATH, TMPDIR: join(folder, 'tmp')}, stdio: ['pipe', 'pipe', 'pipe']},
    )
    t.teardown(() => this.#child.kill('SIGKILL'))
    this.#exit = once(this.#child, 'exit')
    this.#child.stdin!.on('error', () => {})
    this.#child.stderr!.setEncoding('utf8').on('data', text => {
      this.#errors += text
    })
    this.#lines = createInterface({input: this.#child.stdout!})[Symbol.asyncIterator]()
  }

  /** Of the files that it sees. */
  get root(): string {
    return `/proc/${this.#child.pid}/root`
  }

  /** Undefined: it has been killed at the point that the order says. */
  async order(order: Order): Promise<Report | undefined> {
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`)
    const {value, done} = await this.#lines.next()
    if (!done) return JSON.parse(value)
    const [status, signal] = await this.#exit
    if (signal !== 'SIGKILL' || order.deed === undefined)
      throw new Error(`the agent ended (${status ?? signal}): ${this.#errors}`)
    return undefined
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}

export const removeBundle = (program: string): Promise<void> =>
  rm(join(program, '..'), {recursive: true, force: true, maxRetries: 5})
