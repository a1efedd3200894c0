/** The lab's nodes and pods as API objects, made over HTTP whichever the API server is. */
import type {KubeClient} from '../kube/client.ts'
import {sleep} from '../streams/lifetime.ts'
import {ApiError} from '../streams/list-watch.ts'
import {mapLimited} from './limit.ts'
import type {LabPlan, NodePlan, PodPlan} from './plan.ts'
import type {LabPod} from './pods.ts'

const PODS = '/api/v1/namespaces/default/pods'
const AT_ONCE = 8

export async function createObjects(client: KubeClient, plan: LabPlan, signal: AbortSignal): Promise<void> {
  await mapLimited(plan.nodes, AT_ONCE, node =>
    client.request('POST', '/api/v1/nodes', {body: nodeObject(node), signal}),
  )
  const pods = plan.nodes.flatMap(node => node.pods)
  if (pods.length === 0) return
  await defaultNamespace(client, signal)
  await mapLimited(pods, AT_ONCE, pod => client.request('POST', PODS, {body: podObject(pod), signal}))
}

/** What the kubelet does once the pod has its network. */
export async function podRuns(client: KubeClient, node: NodePlan, pod: LabPod, signal: AbortSignal): Promise<void> {
  const contentType = 'application/merge-patch+json'
  await client.request('PATCH', `${PODS}/${pod.name}/status`, {body: podStatus(node, pod), contentType, signal})
}

export function nodeObject({name, addresses, podCIDRs}: NodePlan): object {
  const cidrs = podCIDRs.map(String)
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {name, labels: {'kubernetes.io/hostname': name}},
    spec: {podCIDR: cidrs[0], podCIDRs: cidrs},
    status: {
      addresses: [
        ...addresses.map(({ip}) => ({type: 'InternalIP', address: `${ip}`})),
        {type: 'Hostname', address: name},
      ],
      conditions: [{type: 'Ready', status: 'True', reason: 'Lab', message: 'a namespace of the lab'}],
    },
  }
}

function podObject({name, node}: PodPlan): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name, labels: {app: 'lab'}},
    spec: {nodeName: node, containers: [{name: 'namespace', image: 'none'}]},
  }
}

function podStatus(node: NodePlan, {addresses}: LabPod): object {
  const ips = addresses.map(String)
  return {
    status: {
      phase: 'Running',
      hostIP: `${node.addresses[0]!.ip}`,
      podIP: ips[0],
      podIPs: ips.map(ip => ({ip})),
      conditions: [{type: 'Ready', status: 'True'}],
      containerStatuses: [{name: 'namespace', image: 'none', imageID: '', ready: true, restartCount: 0}],
    },
  }
}

/** The real server makes it a moment after it has become ready. */
async function defaultNamespace(client: KubeClient, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await client.request('GET', '/api/v1/namespaces/default', {signal})
      return
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || attempt === 100) throw error
      await sleep(100, signal)
    }
  }
}
