/** The lab's runtime: pods get their network as on any node, by the CNI plugin of the host, which asks the agent. */
import {randomBytes} from 'node:crypto'
import {type Ip, parseIpWithPrefix} from '../model/ip.ts'
import type {AgentProcess} from './agent-process.ts'
import type {LabPlan, PodPlan} from './plan.ts'
import type {Run} from './run.ts'
import {netnsPath} from './wiring.ts'

export interface LabPod extends PodPlan {
  /** Of its object. */
  readonly namespace: string
  readonly uid: string
  /** Of its sandbox. */
  readonly containerId: string
  /** As ADD answered; none before. */
  readonly addresses: readonly Ip[]
  /** Milliseconds that ADD took the runtime, process start included. */
  readonly addMs?: number | undefined
}

/** "app1" in the namespace default, "team/app1" elsewhere. */
export const podText = ({namespace, name}: Pick<LabPod, 'namespace' | 'name'>): string =>
  namespace === 'default' ? name : `${namespace}/${name}`

/** A pod without its network, and, if so, without its object. */
export const podOf = (plan: PodPlan, {namespace = 'default', uid = ''} = {}): LabPod => ({
  ...plan,
  namespace,
  uid,
  containerId: randomBytes(32).toString('hex'),
  addresses: [],
})

export const podsOf = (plan: LabPlan): LabPod[] => plan.nodes.flatMap(({pods}) => pods.map(pod => podOf(pod)))

/** What a runtime works with. */
export interface Runtime {
  readonly run: Run
  /** The plugin's program. */
  readonly shim: string
  readonly agent: Pick<AgentProcess, 'socket' | 'spool'>
}

/** Of the pod's object: the runtime hands them over, where the configuration declares that it may. */
export type Annotations = Readonly<Record<string, string>>

export async function addPod(runtime: Runtime, pod: LabPod, annotations: Annotations = {}): Promise<LabPod> {
  const began = performance.now()
  const output = await call(runtime, 'ADD', pod, annotations)
  const addMs = performance.now() - began
  const {interfaces = [], ips} = JSON.parse(output) as Result
  const own = ips.filter(ip => ip.interface === undefined || interfaces[ip.interface]?.name === IFNAME)
  return {...pod, addMs, addresses: own.map(({address}) => parseIpWithPrefix(address).ip)}
}

export async function deletePod(runtime: Runtime, pod: LabPod, annotations: Annotations = {}): Promise<void> {
  await call(runtime, 'DEL', pod, annotations)
}

interface Result {
  readonly interfaces?: readonly {readonly name: string}[]
  readonly ips: readonly {readonly address: string; readonly interface?: number}[]
}

const IFNAME = 'eth0'
/** containerd's. */
const POD_ANNOTATIONS = 'io.kubernetes.cri.pod-annotations'

/** Rejects with the plugin's own words. */
async function call(
  {run, shim, agent}: Runtime,
  command: 'ADD' | 'DEL',
  pod: LabPod,
  annotations: Annotations,
): Promise<string> {
  const config = {
    cniVersion: '1.0.0',
    name: 'netgraft',
    type: 'netgraft',
    socket: agent.socket,
    spool: agent.spool,
    capabilities: {[POD_ANNOTATIONS]: true},
    runtimeConfig: {[POD_ANNOTATIONS]: annotations},
  }
  const {namespace, name, uid, containerId, netns} = pod
  const args = [
    'IgnoreUnknown=1',
    `K8S_POD_NAMESPACE=${namespace}`,
    `K8S_POD_NAME=${name}`,
    `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
    `K8S_POD_UID=${uid}`,
  ]
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netnsPath(netns),
    CNI_IFNAME: IFNAME,
    CNI_PATH: '/opt/cni/bin',
    CNI_ARGS: args.join(';'),
  }
  return run.exec(shim, [], {input: JSON.stringify(config), env})
}
