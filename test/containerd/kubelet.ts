/** What the kubelet does of a pod: objects at the API server become sandboxes of a containerd, and are told of there. */
import {relative} from 'node:path'
import type {ExecutionContext} from 'ava'
import type {Networks} from '../agent/support/networks.ts'
import {Namespace} from '../netlink/namespace.ts'
import type {Containerd} from './containerd.ts'
import type {Pod, PodOptions} from './pod.ts'

type Annotations = Readonly<Record<string, string>>

export interface Running extends Pod {
  /** The pod's network, for `ip -n`. */
  readonly namespace: Namespace
}

export class Kubelet {
  readonly #t: ExecutionContext
  readonly #containerd: Containerd
  readonly #networks: Networks

  constructor(t: ExecutionContext, containerd: Containerd, networks: Networks) {
    this.#t = t
    this.#containerd = containerd
    this.#networks = networks
  }

  /** The Pod object alone. */
  declare(name: string, annotations: Annotations = {}): void {
    this.#networks.node.api.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {name, namespace: 'default', annotations: {...annotations}},
      spec: {nodeName: 'a', containers: [{name: 'main', image: 'none'}]},
    })
  }

  /** Of a declared one. Rejects with what the runtime says. `options`: what differs. */
  async run(name: string, options: Partial<PodOptions> = {}): Promise<Running> {
    const {uid, annotations = {}} = this.#networks.object({name})!.metadata
    const pod = await this.#containerd.runPod({name, uid: uid!, annotations, ...options})
    this.#networks.node.api.patch(
      {resource: 'pods', namespace: 'default', name, status: true},
      {status: {phase: 'Running', podIP: pod.ip, podIPs: pod.ips.map(ip => ({ip}))}},
    )
    // `ip -n` takes names, but looks for them as for any path.
    return {...pod, namespace: new Namespace(this.#t, relative('/run/netns', pod.netns))}
  }

  async start(name: string, annotations: Annotations = {}, options: Partial<PodOptions> = {}): Promise<Running> {
    this.declare(name, annotations)
    return this.run(name, options)
  }

  /** The object, too. */
  async remove(...pods: readonly Pod[]): Promise<void> {
    for (const pod of pods) {
      await pod.remove()
      this.#networks.node.api.delete({resource: 'pods', namespace: 'default', name: pod.name})
    }
  }
}

/** A container's pings until the result is called: how many, and that none was lost. Rejects where one was. */
export async function pinging(pod: Pod, address: string): Promise<() => Promise<number>> {
  const file = `/tmp/ping-${address}`
  const pid = await pod.exec('sh', '-c', `ping -i 0.1 ${address} </dev/null >${file} 2>&1 & echo $!`)
  return async () => {
    await pod.exec('kill', '-INT', pid.trim())
    const output = await pod.exec('cat', file)
    const answered = [...output.matchAll(/ seq=(\d+) /g)].map(([, seq]) => Number(seq))
    if (answered.length === 0 || answered.some((seq, i) => seq !== i))
      throw new Error(`pings from ${pod.name} to ${address} were lost:\n${output}`)
    return answered.length
  }
}

/** Once. */
export const reaches = (pod: Pod, address: string): Promise<boolean> =>
  pod.exec('ping', '-c', '1', '-W', '2', address).then(
    () => true,
    () => false,
  )
