/** The agent that is measured: the production bundle as a process in the namespace of a site. */
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {mkdir, open, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {stringify} from 'yaml'
import {NODE_FLAGS} from '../src/lab/node-flags.ts'
import type {Run} from '../src/lab/run.ts'
import type {Api} from './api.ts'
import {SELF} from './cluster.ts'
import type {Site} from './site.ts'

const BUNDLE = join(import.meta.dirname, '..', 'dist', 'netgraft.js')
export const AGENT_PORT = 9464
/** Milliseconds. */
const PATIENCE = 60_000

export class Agent {
  readonly #logFile: string
  readonly #run: Run
  readonly #site: Site
  readonly #api: Api
  readonly #configFile: string
  readonly #stateFolder: string
  readonly #runFolder: string
  #child: ChildProcess | undefined

  constructor(run: Run, site: Site, api: Api) {
    this.#run = run
    this.#site = site
    this.#api = api
    this.#logFile = join(run.folder, `${site.name}.log`)
    this.#configFile = join(run.folder, `${site.name}.yaml`)
    this.#stateFolder = join(run.folder, `${site.name}.state`)
    this.#runFolder = join(run.folder, `${site.name}.run`)
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the agent does not run')
    return this.#child.pid
  }

  /** What the CNI plugin's config says of it. */
  get plugin(): {readonly socket: string; readonly spool: string} {
    return {socket: join(this.#runFolder, 'cni.sock'), spool: join(this.#stateFolder, 'spool')}
  }

  /** @param network of its configuration: the only one */
  async configure(network: object): Promise<void> {
    const config = {
      node: SELF,
      kubernetes: {kubeconfig: this.#api.kubeconfig},
      networks: [network],
      folders: {state: this.#stateFolder, run: this.#runFolder},
      metrics: {listen: `127.0.0.1:${AGENT_PORT}`},
    }
    await writeFile(this.#configFile, stringify(config))
    await mkdir(this.#stateFolder, {recursive: true})
  }

  /** Resolves with the moment at which it was started, which is not when it is ready. @param flags of node */
  async start(flags: readonly string[] = []): Promise<number> {
    if (this.#child) throw new Error('the agent runs already')
    const log = await open(this.#logFile, 'w')
    try {
      const args = [...NODE_FLAGS, ...flags, BUNDLE, 'agent', '--config', this.#configFile]
      const startedAt = performance.now()
      const stdio = ['ignore', log.fd, log.fd]
      this.#child = await this.#run.spawn(process.execPath, args, {netns: this.#site.name, stdio: stdio as never})
      return startedAt
    } finally {
      await log.close()
    }
  }

  /** Resolves when /readyz says so. */
  async ready(): Promise<void> {
    const deadline = performance.now() + PATIENCE
    while ((await this.#api.askAgent('/readyz'))?.status !== 200) {
      if (this.#child?.exitCode !== null || performance.now() > deadline)
        throw new Error('the agent does not become ready')
      await sleep(10)
    }
  }

  /** The last lines of its log. */
  async lastWords(): Promise<string> {
    const text = await readFile(this.#logFile, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-12).join('\n')
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (!child) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
    this.#child = undefined
  }

  /** Takes away what it left in the kernel and on disk: the next start is the node's first. */
  async forget(): Promise<void> {
    await this.#run.exec(process.execPath, [BUNDLE, 'cleanup', '--config', this.#configFile], {netns: this.#site.name})
    await rm(this.#stateFolder, {recursive: true, force: true})
    await mkdir(this.#stateFolder)
  }
}
