/** What the server does to pods alone: it binds them to nodes, and leaves their end to the kubelet. */
import {badRequest, conflict} from './errors.ts'
import {dig, type KubeObject} from './objects.ts'
import type {Resource} from './resources.ts'

/** A pod as its Binding (core/v1) makes it. Throws what the real server answers. */
export function boundTo(resource: Resource, pod: KubeObject, binding: unknown, now: string): KubeObject {
  const {name, deletionTimestamp} = pod.metadata
  const kind = dig(binding, 'target', 'kind') ?? 'Node'
  const node = dig(binding, 'target', 'name')
  if (kind !== 'Node' || typeof node !== 'string' || node === '')
    throw badRequest('Binding.target must name a Node: {"kind": "Node", "name": "..."}')
  const refuse = (why: string) => conflict({...resource, id: 'pods/binding'}, name, `pod ${name} ${why}`)
  if (deletionTimestamp) throw refuse('is being deleted, cannot be assigned to a host')
  const before = dig(pod.spec, 'nodeName')
  if (before) throw refuse(`is already assigned to node "${before}"`)
  const conditions = dig(pod.status, 'conditions')
  const scheduled = {type: 'PodScheduled', status: 'True', lastTransitionTime: now}
  return {
    ...pod,
    spec: {...pod.spec, nodeName: node},
    status: {...pod.status, conditions: [...(Array.isArray(conditions) ? conditions : []), scheduled]},
  }
}

/** Seconds that a deleted pod stays for its kubelet, which ends it with a deletion of 0 seconds. @param asked by whoever deletes it */
export function gracePeriod(pod: KubeObject, asked: number | undefined): number {
  const phase = dig(pod.status, 'phase')
  // Nobody runs it.
  if (!dig(pod.spec, 'nodeName') || phase === 'Succeeded' || phase === 'Failed') return 0
  const own = dig(pod.spec, 'terminationGracePeriodSeconds')
  return asked ?? (typeof own === 'number' ? own : 30)
}
