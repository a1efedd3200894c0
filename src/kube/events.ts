/** Events on pods: what `kubectl describe pod` shows. */
import {ApiError} from '../streams/list-watch.ts'
import {type KubeClient, pathOf} from './client.ts'

export interface PodEvent {
  readonly type: 'Normal' | 'Warning'
  /** One word in CamelCase. */
  readonly reason: string
  /** At most {@link MESSAGE_MAX} characters are kept. */
  readonly message: string
}

/** Characters. k8s.io/kubernetes pkg/apis/core/validation (ValidateEventCreate). */
const MESSAGE_MAX = 1024
/** Names are DNS subdomains. */
const NAME_MAX = 253

export interface Involved {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** Lower-case letters and digits. */
export type EventId = string

/** As much of a pod's name as there is room for: a label must not end with a hyphen, nor be empty. */
const labelsOf = (name: string, max: number): string => name.slice(0, max).replace(/[-.]+$/, '')

/** `id`: sent again, it is the same Event. Rejects with an ApiError. */
export async function createEvent(
  client: KubeClient,
  {namespace, name, uid}: Involved,
  {type, reason, message}: PodEvent,
  {id, host, signal}: {readonly id: EventId; readonly host: string; readonly signal: AbortSignal},
): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const suffix = `.${id}`
  const made = client.request('POST', pathOf({group: '', version: 'v1', resource: 'events', namespace}), {
    body: {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {namespace, name: `${labelsOf(name, NAME_MAX - suffix.length)}${suffix}`},
      involvedObject: {apiVersion: 'v1', kind: 'Pod', namespace, name, uid},
      type,
      reason,
      message: message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX - 1)}…` : message,
      source: {component: 'netgraft', ...(host !== '' && {host})},
      reportingComponent: '',
      reportingInstance: '',
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    },
    signal,
  })
  await made.catch(error => {
    // What was not heard of the first time has arrived all the same.
    if (!(error instanceof ApiError) || error.status !== 409) throw error
  })
}
