/** A client of the kubelet: which devices it has given to a pod. PodResources, v1. */
import {openPeer} from './peer.ts'

export interface PodResourcesOptions {
  /** @default '/var/lib/kubelet/pod-resources/kubelet.sock' */
  readonly socket?: string
  /** Milliseconds for each call. @default 5000 */
  readonly deadline?: number
}

export interface PodResources {
  /**
   * By the name of their resource: the ids of all containers' devices, in the kubelet's order, each once. Empty: the pod has
   * none, or the kubelet does not know it. Rejects with CriError, or with the signal's reason.
   */
  devices(
    pod: {readonly namespace: string; readonly name: string},
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly string[]>>
  close(): void
}

/** Connects when it is asked something. */
export function openPodResources({
  socket = '/var/lib/kubelet/pod-resources/kubelet.sock',
  deadline = 5000,
}: PodResourcesOptions = {}): PodResources {
  const peer = openPeer({title: 'the kubelet', sockets: [socket], key: 'attachments.podResources', deadline})
  return {
    devices: ({namespace, name}, signal) =>
      peer.use(async call => {
        // Not Get, which asks for one pod: a kubelet before 1.34 serves it only where a feature gate is set.
        const answer = await call('/v1.PodResourcesLister/List', {})
        const containers = (answer?.pod_resources ?? [])
          .filter(pod => pod.namespace === namespace && pod.name === name)
          .flatMap(pod => pod.containers)
        const ids = new Map<string, Set<string>>()
        for (const {resource_name, device_ids} of containers.flatMap(container => container.devices)) {
          const of = ids.get(resource_name) ?? new Set()
          ids.set(resource_name, of)
          for (const id of device_ids) of.add(id)
        }
        return new Map([...ids].map(([resource, of]) => [resource, [...of]]))
      }, signal),
    close: peer.close,
  }
}
