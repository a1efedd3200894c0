/** Keeps a sign of life in a Lease, by compare-and-swap. */
import {StoreError} from '../model/store.ts'
import {type Asked, askKube, type KubeObject, type KubePort} from './kubernetes-api.ts'
import {factsOf, leaseSpec, leasesPath, newLease} from './kubernetes-lease.ts'
import type {Renew} from './ownership.ts'

export interface KubeSign {
  readonly namespace: string
  /** Of the Lease. */
  readonly name: string
  readonly seconds: number
  readonly instance: string
}

export function kubeSign(kube: KubePort, {namespace, name, seconds, instance}: KubeSign): Renew {
  const collection = leasesPath(namespace)
  const path = `${collection}/${name}`
  /** As we wrote it last. */
  let mine: string | undefined
  /** The name has been ours: who has it now came later. */
  let shown = false
  /** Another one's, and since when it has not changed: `performance.now()`. */
  let other: {readonly revision: string; readonly since: number} | undefined

  return async (deadlineMs, signal) => {
    const ask = (asked: Omit<Asked, 'deadlineMs' | 'signal'>) => askKube(kube, {...asked, deadlineMs, signal})
    const write = async (revision: string): Promise<boolean> => {
      const body = [
        {op: 'add', path: '/metadata/resourceVersion', value: revision},
        {op: 'add', path: '/spec', value: leaseSpec(instance, seconds)},
      ]
      const answer = await ask({method: 'PATCH', path, body, contentType: 'application/json-patch+json'})
      return took(answer)
    }
    const took = (answer: KubeObject | string): boolean => {
      mine = typeof answer === 'object' ? answer.metadata.resourceVersion : undefined
      if (mine !== undefined) [shown, other] = [true, undefined]
      return mine !== undefined
    }

    if (mine !== undefined && (await write(mine))) return 'kept'
    const there = await ask({method: 'GET', path})
    if (typeof there === 'string') {
      const body = newLease(name, namespace, leaseSpec(instance, seconds))
      const answer = await ask({method: 'POST', path: collection, body})
      if (took(answer)) return 'anew'
      if (answer === 'absent') throw new StoreError('refused', `there is no namespace ${namespace} for Leases: make it`)
      return 'taken'
    }
    const revision = there.metadata.resourceVersion
    if (holderOf(there) !== instance && shown) {
      if (other?.revision !== revision) other = {revision, since: performance.now()}
      if (performance.now() - other.since < seconds * 1000) return 'taken'
    }
    const adopted = holderOf(there) === instance
    if (!(await write(revision))) return 'taken'
    return adopted ? 'kept' : 'anew'
  }
}

/** undefined: nobody's that we could know. */
function holderOf(lease: KubeObject): string | undefined {
  try {
    return factsOf(lease).instance
  } catch {
    return undefined
  }
}
