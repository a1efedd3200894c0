/** Pods with networks: Pod objects at the API server of a test's node, and what the kernel and the annotations say of them. */
import {randomUUID} from 'node:crypto'
import type {ExecutionContext} from 'ava'
import {type Asked, type Pod, type Result, Runtime} from './cni.ts'
import {type NodeOptions, startNode, type TestNode} from './node.ts'

/** A CustomResourceDefinition of one version. */
const crd = (group: string, kind: string, plural: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {name: `${plural}.${group}`},
  spec: {
    group,
    scope: 'Namespaced',
    names: {kind, plural, singular: kind.toLowerCase()},
    versions: [{name: 'v1', served: true, storage: true, schema: {openAPIV3Schema: {type: 'object'}}}],
  },
})

/** A layer-2 bridge with addresses of its own. */
export const bridgeConf = (name: string, subnet: string, more: object = {}): object => ({
  cniVersion: '1.0.0',
  type: 'bridge',
  bridge: `ng-${name}`,
  ipam: {type: 'host-local', dataDir: `/tmp/ng-none`, ranges: [[{subnet}]]},
  ...more,
})

export interface Declared extends Pod {
  readonly name: string
  readonly uid: string
  /** Its namespace at the API server. */
  readonly project: string
}

export type Started = Declared & {readonly result: Result}

interface PodName {
  readonly name: string
  readonly project?: string
}

/** The capability by which containerd hands over a pod's annotations. */
export const CRI_ANNOTATIONS = 'io.kubernetes.cri.pod-annotations'

export class Networks {
  readonly node: TestNode
  readonly runtime: Runtime
  /** CNI_PATH. */
  path: readonly string[] = ['/usr/lib/cni']

  readonly #name: string

  /** `name`: of its Node object. */
  constructor(t: ExecutionContext, node: TestNode, name = 'a') {
    this.node = node
    this.#name = name
    this.runtime = new Runtime(t, node)
  }

  /** `spec.config` of a NetworkAttachmentDefinition, made or changed. */
  define(name: string, config: object | string, {namespace = 'default', annotations = {}} = {}): void {
    const text = typeof config === 'string' ? config : JSON.stringify(config)
    const ref = {resource: 'network-attachment-definitions.k8s.cni.cncf.io', namespace, name}
    if (this.node.api.get(ref)) this.node.api.patch(ref, {spec: {config: text}})
    else
      this.node.api.create({
        apiVersion: 'k8s.cni.cncf.io/v1',
        kind: 'NetworkAttachmentDefinition',
        metadata: {name, namespace, annotations},
        spec: {config: text},
      })
  }

  /** kaloom's kind. */
  defineNetwork(name: string, plugin: string, config: object, namespace = 'default'): void {
    this.node.api.create({
      apiVersion: 'kaloom.com/v1',
      kind: 'Network',
      metadata: {name, namespace},
      spec: {plugin, config: JSON.stringify(config)},
    })
  }

  undefine(name: string, namespace = 'default'): void {
    this.node.api.delete({resource: 'network-attachment-definitions.k8s.cni.cncf.io', namespace, name})
  }

  /** The Pod object alone. */
  async declare(
    annotations: Readonly<Record<string, string>> = {},
    name?: string,
    project = 'default',
    {labels = {}, hostNetwork = false}: {labels?: Readonly<Record<string, string>>; hostNetwork?: boolean} = {},
  ): Promise<Declared> {
    const [pod] = (await this.runtime.pods(1)) as [Pod]
    const uid = randomUUID()
    const called = name ?? pod.namespace.name
    const object = this.node.api.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {name: called, namespace: project, annotations: {...annotations}, labels: {...labels}},
      spec: {nodeName: this.#name, hostNetwork, containers: [{name: 'main', image: 'none'}]},
    })
    return {...pod, name: called, uid: object.metadata.uid ?? uid, project}
  }

  /** What the runtime says of it; the annotations as containerd hands them over, unless `told` is false. */
  asked(pod: Declared, told = true): Asked {
    const annotations = this.object(pod)?.metadata.annotations ?? null
    return {
      config: {runtimeConfig: {'io.kubernetes.cri.pod-annotations': told ? annotations : undefined}},
      env: {
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.project};K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.id};K8S_POD_UID=${pod.uid}`,
        CNI_PATH: this.path.join(':'),
      },
    }
  }

  async start(
    annotations: Readonly<Record<string, string>> = {},
    told = true,
    {asked = {}, project}: {readonly asked?: Asked; readonly project?: string} = {},
  ): Promise<Started> {
    return this.wire(await this.declare(annotations, undefined, project), told, asked)
  }

  /** Its ADD, and what the kubelet says of it then. `more`: what differs of {@link asked}. */
  async wire(pod: Declared, told = true, more: Asked = {}): Promise<Started> {
    const {config, env} = this.asked(pod, told)
    const result = await this.runtime.add(pod, {
      ...more,
      config: {...config, ...more.config},
      env: {...env, ...more.env},
    })
    const address = result.ips[0]!.address
    this.node.api.patch(
      {resource: 'pods', namespace: pod.project, name: pod.name, status: true},
      {status: {phase: 'Running', podIP: address.split('/')[0]}},
    )
    return {...pod, result}
  }

  object({name, project = 'default'}: PodName) {
    return this.node.api.get({resource: 'pods', namespace: project, name})
  }

  annotate({name, project = 'default'}: PodName, annotations: Readonly<Record<string, string | null>>): void {
    this.node.api.patch({resource: 'pods', namespace: project, name}, {metadata: {annotations}})
  }

  /** Names of interfaces beside lo, with their addresses: "eth0 10.64.1.2/32", sorted. */
  interfaces({namespace}: Pod): string[] {
    return namespace
      .json('addr', 'show')
      .filter(({ifname}) => ifname !== 'lo')
      .map(({ifname, addr_info = []}) => {
        const own = (addr_info as {scope: string; local: string; prefixlen: number}[]).filter(
          each => each.scope !== 'link',
        )
        return [ifname, ...own.map(({local, prefixlen}) => `${local}/${prefixlen}`)].join(' ')
      })
      .sort()
  }

  /** Waits until it has these beside eth0, no more and no less. */
  async has(pod: Pod, ...wanted: string[]): Promise<void> {
    let have: string[] = []
    await this.node.until(
      () => {
        have = this.interfaces(pod).filter(each => !each.startsWith('eth0'))
        return have.join() === [...wanted].sort().join()
      },
      () => `${wanted.join(', ')}: the pod has ${have.join(', ')}`,
    )
  }

  status(pod: PodName, annotation = 'k8s.v1.cni.cncf.io/network-status'): Record<string, unknown>[] {
    return JSON.parse(this.object(pod)?.metadata.annotations?.[annotation] ?? '[]')
  }

  /** "attached default/green net1", in order; a reason behind it. */
  states(pod: PodName): string[] {
    return this.status(pod, 'netgraft.dev/attachments-status').map(({state, name, interface: ifname, reason}) =>
      [state, name, ifname, reason].filter(Boolean).join(' '),
    )
  }

  async told(pod: PodName, ...states: (string | RegExp)[]): Promise<void> {
    await this.node.until(
      () => {
        const have = this.states(pod)
        return (
          have.length === states.length &&
          states.every((want, i) => (typeof want === 'string' ? have[i] === want : want.test(have[i]!)))
        )
      },
      () => `${states.join('; ')}: its status is ${this.states(pod).join('; ')}`,
    )
  }

  events({name, project = 'default'}: PodName): string[] {
    return this.node.api
      .list('events', project)
      .filter(event => (event.involvedObject as {name?: string}).name === name)
      .map(({type, reason, message}) => `${type} ${reason}: ${message}`)
  }
}

/** A node with both kinds of definitions served. */
export async function startNetworks(t: ExecutionContext, options: NodeOptions = {}): Promise<Networks> {
  const node = await startNode(t, {
    ...options,
    start: false,
    // What they ask of the API server would take the faults that tests have in store for others.
    config: {networks: [{backend: 'direct'}], pairs: {enabled: false}, ...options.config},
  })
  node.api.create(crd('k8s.cni.cncf.io', 'NetworkAttachmentDefinition', 'network-attachment-definitions'))
  node.api.create(crd('kaloom.com', 'Network', 'networks'))
  await node.agent.start()
  const networks = new Networks(t, node)
  await networks.runtime.serving()
  return networks
}
