/** Two nodes on one wire with an agent each, an API server and an etcd beside them, and sandboxes for pods. */
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {parse} from 'yaml'
import {nodeObject} from '../../src/lab/objects.ts'
import {allNamespaces, type LabPlan, planLab} from '../../src/lab/plan.ts'
import {startRelay} from '../../src/lab/relay-process.ts'
import type {Run} from '../../src/lab/run.ts'
import {wireNodes} from '../../src/lab/wiring.ts'
import {Api} from '../api.ts'
import type {Bench} from '../bench.ts'
import {buildRuntime, type Runtime} from '../cni/runtime.ts'
import {makeSandboxes} from '../cni/sandboxes.ts'
import {Site} from '../site.ts'
import {ClusterAgent} from './agent.ts'
import {startEtcd} from './etcd.ts'
import type {StoreName} from './options.ts'

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

export interface ClusterNode {
  readonly name: string
  readonly site: Site
  readonly agent: ClusterAgent
  /** Of eth0, IPv4. */
  readonly address: string
}

export interface Session {
  readonly bench: Bench
  readonly runtime: Runtime
  /** A process of its own. */
  readonly api: Api
  readonly nodes: readonly [ClusterNode, ClusterNode]
  /** Files of namespaces that nobody is in. */
  readonly sandboxes: readonly string[]
  /** The one that the agents use now. */
  readonly store: StoreName
  /** Starts the agents anew, with that store. */
  serve(store: StoreName): Promise<void>
  /** All of the etcd. */
  etcdKeys(): Promise<readonly string[]>
}

/** Nothing runs any more when the work is done, or has failed. */
export async function inSession(bench: Bench, pods: number, work: (session: Session) => Promise<void>): Promise<void> {
  const {run} = bench
  const runtime = await buildRuntime(run)
  const plan = planLab(run.id, {nodes: 2, podsPerNode: 0, family: '4'})
  await run.addNamespaces(allNamespaces(plan))
  await wireNodes(plan)
  const sandboxes = await makeSandboxes(run, pods)
  const api = await Api.start(run, new Site(run, plan.wire), {nodes: 0, backend: 'direct'})
  const nodes: ClusterNode[] = []
  let store: StoreName = 'kubernetes'
  try {
    const kubeconfig = await connect(run, plan, api)
    for (const node of plan.nodes) {
      const {name, netns, addresses} = node
      await api.send('POST', '/api/v1/nodes', nodeObject(node))
      const agent = new ClusterAgent(run, node, kubeconfig)
      nodes.push({name, site: new Site(run, netns), agent, address: `${addresses[0]!.ip}`})
    }
    const endpoint = await startEtcd(run, plan.wire, wireAddress(plan))
    const configs: Readonly<Record<StoreName, object>> = {
      kubernetes: {type: 'kubernetes'},
      etcd: {type: 'etcd', endpoints: [endpoint]},
    }
    await work({
      ...{bench, runtime, api, sandboxes},
      nodes: nodes as never,
      etcdKeys: () => readKeys(run, plan, endpoint),
      get store() {
        return store
      },
      serve: async wanted => {
        store = wanted
        for (const {agent} of nodes) {
          await agent.stop()
          await agent.start(configs[wanted])
        }
      },
    })
  } catch (error) {
    const words = await Promise.all(nodes.map(({agent}) => agent.lastWords()))
    throw new Error(`${(error as Error).message}; the ends of the agents' logs:\n${words.join('\n\n')}`, {cause: error})
  } finally {
    for (const {agent} of nodes) await agent.stop()
    await api.stop()
  }
}

const wireAddress = ({relay}: LabPlan): string => `${relay[0]!.ip}`

/** The kubeconfig for nodes, which reach the API server by the lab's relay. What they need is defined. */
async function connect(run: Run, plan: LabPlan, api: Api): Promise<string> {
  await startRelay(run, plan, join(run.folder, `${plan.wire}.api`))
  for (const file of (await readdir(CRDS)).filter(name => name.endsWith('.yaml'))) {
    const crd = parse(await readFile(join(CRDS, file), 'utf8')) as object
    await api.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  }
  const file = join(run.folder, 'nodes.kubeconfig')
  const own = await readFile(api.kubeconfig, 'utf8')
  await writeFile(file, own.replaceAll('127.0.0.1', wireAddress(plan)))
  return file
}

/** By etcd's HTTP API, from the wire. */
async function readKeys(run: Run, {wire}: LabPlan, endpoint: string): Promise<string[]> {
  const everything = JSON.stringify({key: 'AA==', range_end: 'AA==', keys_only: true})
  const script = `console.log(await (await fetch('${endpoint}/v3/kv/range', {method: 'POST', body: '${everything}'})).text())`
  const answer = await run.exec(process.execPath, ['--input-type=module', '-e', script], {netns: wire})
  const {kvs = []} = JSON.parse(answer) as {kvs?: {key: string}[]}
  return kvs.map(({key}) => Buffer.from(key, 'base64').toString())
}
