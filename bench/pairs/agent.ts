/** The agent of one node of a cluster: the production bundle as a process in the node's namespace. */
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {open, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {stringify} from 'yaml'
import {NODE_FLAGS} from '../../src/lab/node-flags.ts'
import type {NodePlan} from '../../src/lab/plan.ts'
import type {Run} from '../../src/lab/run.ts'

const BUNDLE = join(import.meta.dirname, '..', '..', 'dist', 'netgraft.js')

export class ClusterAgent {
  readonly #run: Run
  readonly #node: NodePlan
  readonly #kubeconfig: string
  readonly #files: string
  #child: ChildProcess | undefined

  constructor(run: Run, node: NodePlan, kubeconfig: string) {
    this.#run = run
    this.#node = node
    this.#kubeconfig = kubeconfig
    this.#files = join(run.folder, node.netns)
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`the agent of ${this.#node.name} does not run`)
    return this.#child.pid
  }

  /** What the CNI plugin's config says of it. */
  get plugin(): {readonly socket: string; readonly spool: string} {
    return {socket: `${this.#files}.run/cni.sock`, spool: `${this.#files}.state/spool`}
  }

  /** Resolves when the process is there. @param store of its configuration */
  async start(store: object): Promise<void> {
    const config = {
      node: this.#node.name,
      kubernetes: {kubeconfig: this.#kubeconfig},
      networks: [{backend: 'direct'}],
      store,
      // Not those of the machine.
      attachments: {criSockets: [], podResources: `${this.#files}.none`, definitionsFolder: `${this.#files}.none`},
      folders: {state: `${this.#files}.state`, run: `${this.#files}.run`},
      metrics: {listen: ''},
    }
    const file = `${this.#files}.yaml`
    await writeFile(file, stringify(config))
    const log = await open(`${this.#files}.log`, 'a')
    try {
      const stdio = ['ignore', log.fd, log.fd] as never
      const args = [...NODE_FLAGS, BUNDLE, 'agent', '--config', file]
      this.#child = await this.#run.spawn(process.execPath, args, {netns: this.#node.netns, stdio})
    } finally {
      await log.close()
    }
  }

  /** The last lines of its log. */
  async lastWords(): Promise<string> {
    const text = await readFile(`${this.#files}.log`, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-12).join('\n')
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
}
