/** The lab's nodes and pods as API objects, made over HTTP whichever the API server is. */
import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {parse} from 'yaml'
import {type KubeClient, pathOf} from '../kube/client.ts'
import type {Ip} from '../model/ip.ts'
import {sleep} from '../streams/lifetime.ts'
import {ApiError} from '../streams/list-watch.ts'
import {mapLimited} from './limit.ts'
import type {LabPlan, NodePlan, PodPlan} from './plan.ts'
import type {PodName} from './pod-events.ts'

const AT_ONCE = 8
const MERGE_PATCH = 'application/merge-patch+json'
const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

const podsPath = (namespace: string, name?: string): string =>
  pathOf({group: '', version: 'v1', resource: 'pods', namespace}, name)

/** Resolves when what they define is served. */
export async function createDefinitions(client: KubeClient, signal: AbortSignal): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  for (const file of (await readdir(CRDS)).filter(name => name.endsWith('.yaml'))) {
    const body = parse(await readFile(join(CRDS, file), 'utf8'))
    await client.request('POST', path, {body, signal})
    await established(client, `${path}/${body.metadata.name}`, signal)
  }
}

async function established(client: KubeClient, path: string, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const {status} = (await client.request('GET', path, {signal})) as {status?: {conditions?: Condition[]}}
    if (status?.conditions?.some(({type, status}) => type === 'Established' && status === 'True')) return
    await sleep(100, signal)
  }
  throw new Error(`what ${path} defines is not served`)
}

interface Condition {
  readonly type: string
  readonly status: string
}

export async function createObjects(client: KubeClient, plan: LabPlan, signal: AbortSignal): Promise<void> {
  await mapLimited(plan.nodes, AT_ONCE, node =>
    client.request('POST', '/api/v1/nodes', {body: nodeObject(node), signal}),
  )
  const pods = plan.nodes.flatMap(node => node.pods)
  if (pods.length === 0) return
  await defaultNamespace(client, signal)
  await mapLimited(pods, AT_ONCE, pod => client.request('POST', podsPath('default'), {body: podObject(pod), signal}))
}

/** What the kubelet does once the pod has its network. */
export async function podRuns(
  client: KubeClient,
  node: NodePlan,
  {namespace, name, uid}: PodName,
  addresses: readonly Ip[],
  signal: AbortSignal,
): Promise<void> {
  const body = {metadata: {uid}, ...podStatus(node, addresses)}
  await client.request('PATCH', `${podsPath(namespace, name)}/status`, {body, contentType: MERGE_PATCH, signal})
}

/** What the kubelet does once the pod is no more. Another pod of that name is left alone. */
export async function endPod(client: KubeClient, {namespace, name, uid}: PodName, signal: AbortSignal): Promise<void> {
  const body = {gracePeriodSeconds: 0, preconditions: {uid}}
  await client.request('DELETE', podsPath(namespace, name), {body, signal}).catch(unless(404, 409))
}

/** What a scheduler does. */
export async function bindPod(
  client: KubeClient,
  {namespace, name, uid}: PodName,
  node: string,
  signal: AbortSignal,
): Promise<void> {
  const target = {apiVersion: 'v1', kind: 'Node', name: node}
  const body = {apiVersion: 'v1', kind: 'Binding', metadata: {name, namespace, uid}, target}
  await client.request('POST', `${podsPath(namespace, name)}/binding`, {body, signal}).catch(unless(404, 409))
}

/** Somebody else has changed it meanwhile: the watch tells. */
const unless =
  (...statuses: readonly number[]) =>
  (error: unknown): void => {
    if (!(error instanceof ApiError) || !statuses.includes(error.status ?? 0)) throw error
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

function podStatus(node: NodePlan, addresses: readonly Ip[]): object {
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
