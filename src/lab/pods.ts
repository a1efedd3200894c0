/** The lab's runtime: pods get their network as on any node, by the CNI plugin of the host, which asks the agent. */
import {createHash, randomBytes} from 'node:crypto'
import {type Ip, parseIpWithPrefix} from '../model/ip.ts'
import type {AgentProcess} from './agent-process.ts'
import type {LabPlan, PodPlan} from './plan.ts'
import type {Run} from './run.ts'
import {netnsPath} from './wiring.ts'

export interface LabPod extends PodPlan {
  /** Of its sandbox. */
  readonly containerId: string
  /** As ADD answered; none before. */
  readonly addresses: readonly Ip[]
  /** Milliseconds that ADD took the runtime, process start included. */
  readonly addMs?: number | undefined
}

/** A pod without its network. */
export const podOf = (plan: PodPlan): LabPod => ({...plan, containerId: randomBytes(32).toString('hex'), addresses: []})

export const podsOf = (plan: LabPlan): LabPod[] => plan.nodes.flatMap(({pods}) => pods.map(podOf))

/** What a runtime works with. */
export interface Runtime {
  readonly run: Run
  /** The plugin's program. */
  readonly shim: string
  readonly agent: Pick<AgentProcess, 'socket' | 'spool'>
}

export async function addPod(runtime: Runtime, pod: LabPod): Promise<LabPod> {
  const began = performance.now()
  const output = await call(runtime, 'ADD', pod)
  const addMs = performance.now() - began
  const {ips} = JSON.parse(output) as {ips: {address: string}[]}
  return {...pod, addMs, addresses: ips.map(({address}) => parseIpWithPrefix(address).ip)}
}

export async function deletePod(runtime: Runtime, pod: LabPod): Promise<void> {
  await call(runtime, 'DEL', pod)
}

/** Rejects with the plugin's own words. */
async function call({run, shim, agent}: Runtime, command: 'ADD' | 'DEL', pod: LabPod): Promise<string> {
  const config = {cniVersion: '1.0.0', name: 'netgraft', type: 'netgraft', socket: agent.socket, spool: agent.spool}
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod.containerId,
    CNI_NETNS: netnsPath(pod.netns),
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId};K8S_POD_UID=${uidOf(pod)}`,
  }
  return run.exec(shim, [], {input: JSON.stringify(config), env})
}

const uidOf = ({containerId}: LabPod): string =>
  createHash('sha256')
    .update(containerId)
    .digest('hex')
    .slice(0, 32)
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
