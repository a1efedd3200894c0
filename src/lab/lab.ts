/** A lab: an API server, virtual nodes with an agent each, pods. Everything in namespaces of its own, and removed at the end. */
import {access, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {Subscription} from 'rxjs'
import {KubeClient} from '../kube/client.ts'
import {Credentials} from '../kube/credentials.ts'
import type {BackendName} from '../model/config-network.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Ip} from '../model/ip.ts'
import {sleep} from '../streams/lifetime.ts'
import {nodeStream} from '../streams/nodes.ts'
import {describeState} from './agent-process.ts'
import {type ControlPlane, startControlPlane} from './control-plane.ts'
import type {Example} from './example.ts'
import {expectedRoutes} from './expected-routes.ts'
import {LabPods} from './lab-pods.ts'
import {mapLimited} from './limit.ts'
import {objectNews, routeNews} from './news.ts'
import {LabNode, type NodeReports} from './node.ts'
import {createDefinitions, createObjects} from './objects.ts'
import {type PairSeen, pairStream} from './pair-seen.ts'
import {type Ping, type PingResult, pairsOf, pingEach, pingFrom, pingKey} from './pings.ts'
import {allNamespaces, type LabPlan, type LabSize, planLab, urlAt} from './plan.ts'
import {type LabPod, podText} from './pods.ts'
import {API_PORT, startRelay} from './relay-process.ts'
import {Run} from './run.ts'
import {createSandboxes} from './sandboxes.ts'
import {openPods, wireNodes} from './wiring.ts'

export interface LabOptions extends LabSize {
  /** Ends the lab when it aborts, during its start too. */
  readonly signal: AbortSignal
  /** Of the agents' network. @default 'auto' */
  readonly backend?: BackendName
  /** The file that the agents run. @default dist/netgraft.js */
  readonly bundle?: string
  /** A folder with `kube-apiserver` and `etcd` to use. @default the embedded API server */
  readonly assets?: string | undefined
  readonly tell?: (event: LabEvent) => void
}

export interface LabEvent {
  /** Milliseconds since the lab's start. */
  readonly at: number
  readonly node?: string
  readonly text: string
  readonly mood?: 'good' | 'bad'
}

const BUNDLE = join(import.meta.dirname, '..', '..', 'dist', 'netgraft.js')
const EVENTS_KEPT = 200

/** Resolves when everything is wired and the agents are started, which are not ready yet. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const {bundle = BUNDLE, signal} = options
  await access(bundle).catch(() => {
    throw new Error(`${bundle} is not there: run "npm run build" first`)
  })
  signal.throwIfAborted()
  const lab = new Lab(await Run.start(), {...options, bundle})
  try {
    await lab.start()
    signal.throwIfAborted()
  } catch (error) {
    await lab.stop()
    throw error
  }
  signal.addEventListener('abort', () => void lab.stop().catch(() => {}), {once: true})
  return lab
}

export class Lab {
  readonly id: string
  readonly folder: string
  readonly plan: LabPlan
  /** The file for kubectl. */
  readonly kubeconfig: string
  /** The last result of each pair, by `pingKey`. */
  readonly pings = new Map<string, PingResult>()
  /** The newest last. */
  readonly events: LabEvent[] = []
  readonly examples: Example[] = []
  /** Pods of the examples, by `podText`: they have pings of their own. */
  readonly apart = new Set<string>()
  /** Of the API server. */
  pairObjects: ReadonlyMap<string, PairSeen> = new Map()
  /** Of the API server; undefined until they are read. */
  nodeObjects: ReadonlyMap<NodeName, NodeFacts> | undefined
  /** Milliseconds from the start until every agent was ready. */
  readyAfter: number | undefined
  readonly #nodes: LabNode[] = []
  readonly #run: Run
  readonly #options: LabOptions & {readonly bundle: string}
  readonly #startedAt = performance.now()
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  readonly #watching = new Subscription()
  readonly #pods: LabPods
  #controlPlane: ControlPlane | undefined
  #client: KubeClient | undefined
  #credentials: Credentials | undefined
  #end: Promise<void> | undefined

  /** For {@link startLab}. */
  constructor(run: Run, options: LabOptions & {readonly bundle: string}) {
    this.#run = run
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#over.signal])
    this.id = run.id
    this.folder = run.folder
    this.plan = planLab(run.id, options)
    this.#pods = new LabPods(this.plan)
    this.kubeconfig = join(run.folder, 'kubeconfig')
  }

  get backend(): BackendName {
    return this.#options.backend ?? 'auto'
  }

  get pods(): readonly LabPod[] {
    return this.#pods.all
  }

  /** Who is to reach whom. */
  get pairs(): readonly Ping[] {
    const pods = this.pods.filter(pod => !this.apart.has(podText(pod)))
    return pairsOf(pods, this.plan.families)
  }

  get nodes(): readonly LabNode[] {
    return this.#nodes
  }

  get controlPlane(): ControlPlane {
    return this.#controlPlane!
  }

  /** Speaks to the API server. */
  get client(): KubeClient {
    return this.#client!
  }

  /** Milliseconds since the start. */
  get elapsed(): number {
    return performance.now() - this.#startedAt
  }

  /** What a node's agent should have, as the API server's nodes are now. */
  expectedRoutes(name: string): number | undefined {
    if (!this.nodeObjects) return undefined
    const own = this.plan.nodes.find(node => node.name === name)!
    return expectedRoutes(own, this.nodeObjects.values(), this.backend).size
  }

  /** For {@link startLab}. */
  async start(): Promise<void> {
    const {plan} = this
    await settled([this.#startControlPlane(), this.#run.addNamespaces(allNamespaces(plan))])
    await wireNodes(plan)
    this.#signal.throwIfAborted()
    await settled([this.#startNodes(), createObjects(this.client, plan, this.#signal), ...plan.nodes.map(openPods)])
    this.#tell({text: `${plan.nodes.length} nodes are wired, ${this.pods.length} pods wait for their network`})
    const shim = join(dirname(this.#options.bundle), 'netgraft-cni')
    this.#pods.start({
      client: this.client,
      nodes: this.nodes,
      runtimeOf: ({agent}) => ({run: this.#run, shim, agent}),
      sandboxes: createSandboxes(this.#run, plan),
      signal: this.#signal,
      tell: event => this.#tell(event),
    })
  }

  /** Resolves when every agent is ready and every pod has its network; rejects if one has died, or after `patience` milliseconds. */
  async ready(patience = 30_000): Promise<void> {
    const deadline = performance.now() + patience
    for (;;) {
      this.#signal.throwIfAborted()
      const late = this.nodes.find(({agent}) => agent.state.is !== 'ready')
      if (!late) break
      const died = this.nodes.find(({agent}) => agent.state.is === 'died')
      if (died) throw new Error(`the agent of ${died.name} ${describeState(died.agent.state)}`)
      if (performance.now() > deadline)
        throw new Error(
          `the agent of ${late.name} is not ready after ${patience / 1000} s, but ${describeState(late.agent.state)}`,
        )
      await sleep(20, this.#signal)
    }
    const late = sleep(deadline - performance.now(), this.#signal).then(() => {
      throw new Error(`not every pod has its network after ${patience / 1000} s: ${this.#pods.trouble}`)
    })
    await Promise.race([this.#pods.up, late])
  }

  /** Pings each pair once; the results are also kept in `pings`. @param pairs some of `this.pairs` @default all */
  pingAll(pairs: readonly Ping[] = this.pairs): Promise<PingResult[]> {
    return pingEach(this.#run, pairs, this.#signal, result => this.pings.set(pingKey(result), result))
  }

  /** Milliseconds by address; undefined: no answer. */
  async pingAddresses(from: LabPod, addresses: readonly Ip[]): Promise<readonly (number | undefined)[]> {
    const pings = addresses.map(address => ({address}))
    const answers = await pingFrom(this.#run, from, pings)
    return addresses.map(address => answers.get(`${address}`))
  }

  /** Removes everything; rejects if something stays. May be called again. */
  stop(): Promise<void> {
    this.#end ??= this.#stop()
    return this.#end
  }

  async #stop(): Promise<void> {
    this.#over.abort()
    this.#watching.unsubscribe()
    this.#pods.stop()
    this.#credentials?.close()
    // What fails in here is ended by the run's end.
    await Promise.allSettled(this.nodes.map(node => node.close()))
    await Promise.allSettled([this.#controlPlane?.stop()])
    await this.#run.end()
  }

  async #startControlPlane(): Promise<void> {
    const plane = await startControlPlane(this.#run, this.#options.assets, this.#signal)
    this.#controlPlane = plane
    await writeFile(this.kubeconfig, plane.kubeconfig(), {mode: 0o600})
    this.#credentials = new Credentials({kubeconfig: this.kubeconfig})
    this.#client = new KubeClient(this.#credentials)
    this.#watching.add(
      nodeStream(this.#client.listWatch({group: '', version: 'v1', resource: 'nodes'})).subscribe(view => {
        if (view.synced) this.#takeObjects(new Map(view.items))
      }),
    )
    this.#tell({text: `API server (${plane.name}) at ${plane.url}`})
    await createDefinitions(this.#client, this.#signal)
    this.#watching.add(
      pairStream(this.#client).subscribe(view => {
        if (view.synced) this.pairObjects = view.items
      }),
    )
  }

  async #startNodes(): Promise<void> {
    const {socketPath, url} = this.controlPlane
    const relay = await startRelay(this.#run, this.plan, socketPath)
    void relay.ended.then(why =>
      this.#tell({text: `the nodes have lost their way to the API server: ${why}`, mood: 'bad'}),
    )
    const kubeconfig = join(this.folder, 'kubeconfig.nodes')
    const server = urlAt(new URL(url).protocol, this.plan.relay[0]!.ip, API_PORT)
    await writeFile(kubeconfig, this.controlPlane.kubeconfig(server), {mode: 0o600})
    const settings = {bundle: this.#options.bundle, kubeconfig, backend: this.backend, proxy: relay.http}
    for (const plan of this.plan.nodes) this.#nodes.push(await LabNode.open(this.#run, plan, settings, this.#reports))
    await mapLimited(this.nodes, 4, node => node.agent.start())
  }

  readonly #reports: NodeReports = {
    agent: (node, state) => {
      const mood = state.is === 'ready' ? 'good' : state.is === 'died' ? 'bad' : undefined
      this.#tell({node: node.name, text: `agent ${describeState(state)}`, ...(mood && {mood})})
      if (this.nodes.every(({agent}) => agent.state.is === 'ready')) this.readyAfter ??= this.elapsed
      if (state.is === 'ready') this.#pods.wake()
    },
    routes: ({name}, {added, gone}) => {
      for (const text of routeNews(added, gone)) this.#tell({node: name, text})
    },
    broken: ({name}, error) =>
      this.#tell({node: name, text: `its routes can no longer be watched: ${error.message}`, mood: 'bad'}),
  }

  #takeObjects(objects: ReadonlyMap<NodeName, NodeFacts>): void {
    const before = this.nodeObjects
    this.nodeObjects = objects
    if (!before || this.nodes.length === 0) return
    for (const news of objectNews(before, objects)) this.#tell(news)
  }

  #tell(event: Omit<LabEvent, 'at'>): void {
    if (this.#end) return
    const full = {at: this.elapsed, ...event}
    if (this.events.push(full) > 2 * EVENTS_KEPT) this.events.splice(0, EVENTS_KEPT)
    this.#options.tell?.(full)
  }
}

/** Waits for all of them to end, so that nothing is under way after a failure; then rejects with the first one. */
async function settled(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}
