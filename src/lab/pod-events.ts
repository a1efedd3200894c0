/** What a kubelet tells of a pod: an Event for each reason, counted up. */
import {createHash} from 'node:crypto'
import {type KubeClient, pathOf} from '../kube/client.ts'
import {ApiError} from '../streams/list-watch.ts'

export interface PodEvent {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
}

export interface PodName {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** Never rejects: nothing depends on it. @param host the node's name */
export async function tellOfPod(
  client: KubeClient,
  pod: PodName,
  host: string,
  event: PodEvent,
  signal: AbortSignal,
): Promise<void> {
  const resource = {group: '', version: 'v1', resource: 'events', namespace: pod.namespace}
  const name = `${pod.name}.${createHash('sha256').update(`${pod.uid} ${event.reason}`).digest('hex').slice(0, 16)}`
  const now = new Date().toISOString().replace(/\.\d+/, '')
  const body = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {name, namespace: pod.namespace},
    involvedObject: {apiVersion: 'v1', kind: 'Pod', ...pod},
    ...event,
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
    source: {component: 'kubelet', host},
  }
  try {
    await client.request('POST', pathOf(resource), {body, signal})
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) return
    await countUp(client, pathOf(resource, name), {message: event.message, lastTimestamp: now}, signal).catch(() => {})
  }
}

async function countUp(client: KubeClient, path: string, news: object, signal: AbortSignal): Promise<void> {
  const {count = 0} = (await client.request('GET', path, {signal})) as {count?: number}
  const contentType = 'application/merge-patch+json'
  await client.request('PATCH', path, {body: {...news, count: count + 1}, contentType, signal})
}
