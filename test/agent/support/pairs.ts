/** A cluster of nodes with real agents on one switch, and pods on them that are paired. Needs root. */
import {execFileSync} from 'node:child_process'
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {parse} from 'yaml'
import type {ApiServerOptions} from '../../../src/lab/apiserver/server.ts'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'
import type {EtcdPeer} from './etcd.ts'
import {Networks, type Started} from './networks.ts'
import {startNode, type TestNode} from './node.ts'

const CRDS = join(import.meta.dirname, '..', '..', '..', 'deploy', 'crds')

export const PAIRS = 'netgraft.dev/pairs'
export const REQUIRED = 'netgraft.dev/pairs-required'
export const STATUS = 'netgraft.dev/pairs-status'

export interface ClusterOptions {
  /** @default ['a', 'b'] */
  readonly nodes?: readonly string[]
  /** Further keys of the agents' configuration. */
  readonly config?: object
  readonly api?: ApiServerOptions
  /** Of the CustomResourceDefinitions. @default true, unless there is an etcd */
  readonly crds?: boolean
  /** In place of the API server's objects. */
  readonly etcd?: EtcdPeer
  /** Of nodes' eth0, bytes. @default 1500 */
  readonly mtu?: number
  /** The families that nodes have addresses of. @default both */
  readonly families?: readonly (4 | 6)[]
}

export interface PodWish {
  /** The JSON value of the annotation. */
  readonly pairs?: unknown
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly project?: string
  readonly hostNetwork?: boolean
}

export type PairedPod = Started & {readonly node: string}

export interface PairStatus {
  readonly state: string
  readonly interface?: string
  readonly peer?: string
  readonly kind?: string
  readonly mtu?: number
  readonly vni?: number
  readonly waitsFor?: string
  readonly reason?: string
}

export class Cluster {
  readonly #t: ExecutionContext
  readonly nodes: ReadonlyMap<string, Networks>

  constructor(t: ExecutionContext, nodes: ReadonlyMap<string, Networks>) {
    this.#t = t
    this.nodes = nodes
  }

  get api(): TestNode['api'] {
    return this.at('a').node.api
  }

  at(node: string): Networks {
    return this.nodes.get(node)!
  }

  /** The Pod object, and its ADD. */
  async start(node: string, name: string, wish: PodWish = {}): Promise<PairedPod> {
    const networks = this.at(node)
    const declared = await networks.declare(annotationsOf(wish), name, wish.project, {
      labels: wish.labels ?? {},
      hostNetwork: wish.hostNetwork === true,
    })
    return {...(await networks.wire(declared)), node}
  }

  /** The Pod object is gone first, or last. */
  async stop(pod: PairedPod, objectFirst = true): Promise<void> {
    const remove = () => this.api.delete({resource: 'pods', namespace: pod.project, name: pod.name})
    if (objectFirst) remove()
    await this.at(pod.node).runtime.succeeds('DEL', pod)
    pod.namespace.remove()
    if (!objectFirst) remove()
  }

  declare(pod: PairedPod, pairs: unknown): void {
    const text = pairs === undefined ? null : typeof pairs === 'string' ? pairs : JSON.stringify(pairs)
    this.at(pod.node).annotate(pod, {[PAIRS]: text})
  }

  status(pod: PairedPod): PairStatus[] {
    return this.at(pod.node).status(pod, STATUS) as unknown as PairStatus[]
  }

  /** "up in1 veth", "waiting in1 peer", "failed", in the order of the annotation. */
  states(pod: PairedPod): string[] {
    return this.status(pod).map(({state, interface: ifname, kind, waitsFor}) =>
      [state, ifname, state === 'up' ? kind : waitsFor].filter(Boolean).join(' '),
    )
  }

  /** Waits until one of its states, "<state> <interface>: <reason>", is like each of these. */
  async says(pod: PairedPod, ...wanted: readonly RegExp[]): Promise<void> {
    const said = () => this.status(pod).map(each => `${each.state} ${each.interface ?? ''}: ${each.reason ?? ''}`)
    await this.until(
      () => wanted.every(want => said().some(each => want.test(each))),
      () => `${pod.name} is told ${wanted.join(', ')}: it is told ${JSON.stringify(said())}`,
    )
    for (const want of wanted) this.#t.true(said().some(each => want.test(each)))
  }

  /** null: taken away. */
  label(pod: PairedPod, labels: Readonly<Record<string, string | null>>): void {
    this.api.patch({resource: 'pods', namespace: pod.project, name: pod.name}, {metadata: {labels}})
  }

  /** What `ip -d link` says of it; undefined: there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever ip prints
  link(pod: PairedPod, ifname = 'in1'): any {
    return pod.namespace.json('link', 'show').find(link => link.ifname === ifname)
  }

  async told(pod: PairedPod, ...states: string[]): Promise<void> {
    await this.until(
      () => this.states(pod).join() === states.join(),
      () => `${pod.name}: ${states.join(', ')}: its status is ${JSON.stringify(this.status(pod))}`,
    )
  }

  until(condition: () => unknown, what?: string | (() => string)): Promise<void> {
    return this.at('a').node.until(condition, what)
  }

  /** Whether an echo comes back. */
  pings(from: PairedPod, address: string): boolean {
    return pings(from.namespace, address)
  }

  /** Waits for it. */
  async reaches(from: PairedPod, address: string): Promise<void> {
    await this.until(
      () => this.pings(from, address),
      () => `${from.name} does not reach ${address}`,
    )
  }

  /** Documents in the store: "pairpods default/a", "vnis 7 default/a.in1.b.in1", "pairs …", sorted. */
  documents(): string[] {
    return ['pairpods', 'vnis', 'pairs'].flatMap(plural =>
      this.api
        .list(`${plural}.netgraft.dev`)
        .map(({metadata, spec}) => {
          const key = [metadata.namespace, metadata.name].filter(Boolean).join('/')
          return [plural, key, (spec as {pair?: string}).pair].filter(Boolean).join(' ')
        })
        .sort(),
    )
  }

  /** Waits until nothing of a pair is left in the store, nor in the nodes' own namespaces. */
  async clean(): Promise<void> {
    await this.until(
      () => this.documents().length === 0,
      () => `nothing is left: there are ${this.documents().join(', ')}`,
    )
    for (const [name, {node}] of this.nodes)
      this.#t.deepEqual(
        node.namespace
          .json('link', 'show')
          .flatMap(link => (/^netgraft:pair/.test(link.ifalias ?? '') ? link.ifname : [])),
        [],
        name,
      )
  }
}

const annotationsOf = ({pairs, annotations = {}}: PodWish): Record<string, string> => ({
  ...annotations,
  ...(pairs !== undefined && {[PAIRS]: typeof pairs === 'string' ? pairs : JSON.stringify(pairs)}),
})

export function pings(from: Namespace, address: string): boolean {
  try {
    execFileSync('ip', ['netns', 'exec', from.name, 'ping', '-c1', '-W1', '-q', address], {stdio: 'ignore'})
    return true
  } catch {
    return false
  }
}

/** "10.64.<n>.0/24" and "192.168.0.<n>" are node n's, with IPv6 likewise. */
export async function startCluster(t: ExecutionContext, options: ClusterOptions = {}): Promise<Cluster> {
  const {nodes: names = ['a', 'b'], config = {}, api, etcd, crds = !etcd, mtu = 1500, families = [4, 6]} = options
  const [wire, ...spaces] = (await namespaces(t, names.length + 1)) as [Namespace, ...Namespace[]]
  wire.ip('link', 'add', 'sw', 'mtu', '9000', 'type', 'bridge')
  wire.ip('link', 'set', 'sw', 'up')
  const nodes = new Map<string, Networks>()
  let firstNode: TestNode | undefined
  for (const [i, name] of names.entries()) {
    const n = i + 1
    const node: TestNode = await startNode(t, {
      nodes: [
        `${name} 10.64.${n}.0/24 fd00:64:${n}::/64 via ${families.map(family => (family === 4 ? `192.168.0.${n}` : `fd00:100::${n}`)).join(' ')}`,
      ],
      namespace: spaces[i]!,
      network: [
        `link add eth0 mtu ${mtu} type veth peer name p${n} netns ${wire.name}`,
        'link set lo up',
        'link set eth0 up',
        ...families.map(family =>
          family === 4 ? `addr add 192.168.0.${n}/24 dev eth0` : `addr add fd00:100::${n}/64 dev eth0 nodad`,
        ),
      ],
      env: {NODE_NAME: name},
      config: {networks: [{backend: 'direct'}], ...(etcd && {store: etcd.store}), ...config},
      start: false,
      ...(firstNode ? {beside: firstNode} : api && {api}),
    })
    wire.ip('link', 'set', `p${n}`, 'mtu', '9000', 'master', 'sw', 'up')
    await etcd?.lead(name, spaces[i]!)
    nodes.set(name, new Networks(t, node, name))
    firstNode ??= node
  }
  if (crds) createDefinitions(firstNode!.api)
  for (const {node, runtime} of nodes.values()) {
    node.agent.start()
    await runtime.serving()
  }
  return new Cluster(t, nodes)
}

export function createDefinitions(api: TestNode['api']): void {
  for (const file of readdirSync(CRDS).filter(name => name.endsWith('.yaml')))
    api.create(parse(readFileSync(join(CRDS, file), 'utf8')))
}

export interface GoodPair {
  readonly x: PairedPod
  readonly y: PairedPod
  /** What x declares. */
  readonly good: object
  /** Whether its links are those that were made first. Waits until they lead to each other. */
  readonly untouched: () => Promise<boolean>
}

/** Two pods of two nodes with a pair that nothing must disturb: interface "good", 10.99.0.1 and .2. */
export async function withGoodPair(cluster: Cluster): Promise<GoodPair> {
  const good = {peer: 'y', interface: 'good', ips: ['10.99.0.1/24']}
  const x = await cluster.start('a', 'x', {pairs: [good]})
  const y = await cluster.start('b', 'y', {pairs: [{peer: 'x', interface: 'good', ips: ['10.99.0.2/24']}]})
  await cluster.told(x, 'up good vxlan')
  await cluster.told(y, 'up good vxlan')
  const index = () => [x, y].map(pod => cluster.link(pod, 'good')?.ifindex).join()
  const before = index()
  return {
    ...{x, y, good},
    untouched: async () => {
      const isSame = index() === before
      await cluster.reaches(x, '10.99.0.2')
      return isSame
    },
  }
}
