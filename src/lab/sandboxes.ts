/** Pods' network namespaces: those of the plan are made together at the start, others as they are needed. */
import type {LabPlan} from './plan.ts'
import {namespacePrefix, podPlans} from './plan.ts'
import type {Run} from './run.ts'
import {openPod} from './wiring.ts'

export interface Sandboxes {
  /** Resolves with the name of a namespace whose loopback is up. */
  make(pod: {readonly namespace: string; readonly name: string}): Promise<string>
  remove(netns: string): Promise<void>
}

/** Characters of a pod's name that are used: a file's name has at most 255. */
const NAME_MAX = 200

/** @param plan its pods' namespaces are there */
export function createSandboxes(run: Run, plan: LabPlan): Sandboxes {
  const prepared = new Map(podPlans(plan).map(({name, netns}) => [`default/${name}`, netns]))
  const taken = new Set([plan.wire, ...plan.nodes.map(({netns}) => netns), ...prepared.values()])

  const freeName = (namespace: string, name: string): string => {
    const text = (namespace === 'default' ? name : `${namespace}.${name}`).slice(0, NAME_MAX)
    const base = `${namespacePrefix(run.id)}${text}`
    let free = base
    for (let n = 2; taken.has(free); n++) free = `${base}-${n}`
    return free
  }

  return {
    make: async ({namespace, name}) => {
      const key = `${namespace}/${name}`
      const ready = prepared.get(key)
      prepared.delete(key)
      if (ready) return ready
      const netns = freeName(namespace, name)
      taken.add(netns)
      try {
        await run.addNamespaces([netns])
        await openPod(netns)
      } catch (error) {
        taken.delete(netns)
        throw error
      }
      return netns
    },
    remove: async netns => {
      await run.exec('ip', ['netns', 'del', netns])
      taken.delete(netns)
    },
  }
}
