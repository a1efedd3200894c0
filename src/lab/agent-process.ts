/** A node's agent: the real one, as a process in the node's namespace, watched from outside. */
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {open, readFile, writeFile} from 'node:fs/promises'
import {get} from 'node:http'
import {join} from 'node:path'
import {stringify} from 'yaml'
import type {BackendName} from '../model/config-network.ts'
import {sleep} from '../streams/lifetime.ts'
import {NODE_FLAGS} from './node-flags.ts'
import {type NodePlan, urlAt} from './plan.ts'
import type {Run} from './run.ts'

export type AgentState =
  | {readonly is: 'starting' | 'ready'}
  /** `how` is "exit 1" or "SIGKILL"; stopped: because the lab was asked to. */
  | {readonly is: 'stopped' | 'died'; readonly how: string}
  /** It answers, but /readyz says why it is not ready. */
  | {readonly is: 'waiting'; readonly why: string}

export interface AgentSettings {
  /** The file that node runs. */
  readonly bundle: string
  readonly kubeconfig: string
  readonly backend: BackendName
  /** The relay's HTTP socket. */
  readonly proxy: string
  readonly onChange: (state: AgentState) => void
}

/** Milliseconds between two looks at /readyz. */
const LOOK = {until: 100, after: 1000} as const
const STOP_PATIENCE = 5_000
const METRICS_PORT = 9464

/** All nodes' pod ranges are in the first; nobody has the others. */
const CLUSTER = {
  clusterCIDRs: ['10.244.0.0/16', 'fd00:244::/32'],
  serviceCIDRs: ['10.96.0.0/16', 'fd00:10:96::/112'],
}

export class AgentProcess {
  readonly logFile: string
  readonly configFile: string
  /** The folder of what must outlive the agent. */
  readonly stateFolder: string
  /** What the CNI plugin on the host asks, and where it leaves what nobody answers. */
  readonly socket: string
  readonly spool: string
  state: AgentState = {is: 'stopped', how: 'not started yet'}
  readonly #runFolder: string
  readonly #run: Run
  readonly #node: NodePlan
  readonly #settings: AgentSettings
  #child: ChildProcess | undefined
  #stopping = false

  constructor(run: Run, node: NodePlan, settings: AgentSettings) {
    this.logFile = join(run.folder, `${node.name}.log`)
    this.configFile = join(run.folder, `${node.name}.yaml`)
    this.stateFolder = join(run.folder, `${node.name}.state`)
    this.#runFolder = join(run.folder, `${node.name}.run`)
    this.socket = join(this.#runFolder, 'cni.sock')
    this.spool = join(this.stateFolder, 'spool')
    this.#run = run
    this.#node = node
    this.#settings = settings
  }

  /** Undefined when it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Its log goes on in the same file. Resolves when the process is there, which is not yet ready. */
  async start(): Promise<void> {
    if (this.#child) throw new Error(`the agent of ${this.#node.name} runs already`)
    const config = {
      node: this.#node.name,
      kubernetes: {kubeconfig: this.#settings.kubeconfig},
      ...CLUSTER,
      networks: [{backend: this.#settings.backend}],
      // Not those of the machine that the lab is on.
      attachments: {
        criSockets: [],
        podResources: join(this.#runFolder, 'no-kubelet.sock'),
        definitionsFolder: join(this.#runFolder, 'no-definitions'),
      },
      folders: {state: this.stateFolder, run: this.#runFolder},
      metrics: {listen: `:${METRICS_PORT}`},
    }
    await writeFile(this.configFile, stringify(config))
    const log = await open(this.logFile, 'a')
    try {
      const args = [...NODE_FLAGS, this.#settings.bundle, 'agent', '--config', this.configFile]
      const stdio = ['ignore', log.fd, log.fd]
      this.#child = await this.#run.spawn(process.execPath, args, {netns: this.#node.netns, stdio: stdio as never})
    } finally {
      await log.close()
    }
    this.#stopping = false
    this.#become({is: 'starting'})
    const ended = new AbortController()
    this.#child.once('exit', (code, signal) => {
      this.#child = undefined
      ended.abort()
      this.#become({is: this.#stopping ? 'stopped' : 'died', how: signal ?? `exit ${code}`})
    })
    void this.#watch(ended.signal)
  }

  /** Resolves when the process is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (!child) return
    this.#stopping = true
    const ended = once(child, 'exit')
    child.kill(signal)
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE)
    await ended
    clearTimeout(late)
  }

  /** Asks its HTTP server: /metrics, /healthz, /readyz. Rejects if nobody answers. */
  async get(path: string): Promise<{status: number; body: string}> {
    const url = urlAt('http:', this.#node.addresses[0]!.ip, METRICS_PORT) + path
    const request = get({socketPath: this.#settings.proxy, path: url, agent: false, timeout: 3000})
    request.on('timeout', () => request.destroy(new Error('no answer')))
    const [answer] = await once(request, 'response')
    let body = ''
    for await (const chunk of answer.setEncoding('utf8')) body += chunk
    return {status: answer.statusCode, body}
  }

  /** The last lines of its log. */
  async tail(lines = 12): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  async #watch(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const answer = await this.get('/readyz').catch(() => undefined)
      if (ended.aborted) return
      if (answer?.status === 200) this.#become({is: 'ready'})
      else if (answer?.status === 503) this.#become({is: 'waiting', why: firstLine(answer.body)})
      else if (this.state.is !== 'starting') this.#become({is: 'waiting', why: 'it does not answer'})
      await sleep(this.state.is === 'ready' ? LOOK.after : LOOK.until, ended)
    }
  }

  #become(state: AgentState): void {
    const before = JSON.stringify(this.state)
    this.state = state
    if (JSON.stringify(state) !== before) this.#settings.onChange(state)
  }
}

const firstLine = (text: string): string => text.split('\n').find(line => line.trim() !== '') ?? ''

/** "ready", "not ready: network default: …", "died (SIGKILL)". */
export function describeState(state: AgentState): string {
  if (state.is === 'waiting') return `not ready: ${state.why}`
  return 'how' in state ? `${state.is} (${state.how})` : state.is
}
