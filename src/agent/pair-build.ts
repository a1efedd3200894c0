/** What is done to the links of one pair in the pods of this node: level-triggered, one pair at a time. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Attachments} from '../cni/attachments.ts'
import type {Serial} from '../cni/serial.ts'
import type {Ip} from '../model/ip.ts'
import type {NamespaceKernel, Namespaces, Sandbox} from '../model/namespace.ts'
import {SandboxGone} from '../model/namespace.ts'
import type {IfIndex} from '../model/net.ts'
import type {PairKey, PairPlan, PodKey, ReadyEnd, VethPlan, VxlanPlan} from '../model/pair.ts'
import {type Done, ensureVeth, ensureVxlan, removeEnd, removeUnmarked, standingEnds} from '../pairs/links.ts'
import type {PodSandbox} from './pod-sandbox.ts'

export interface PairReport {
  readonly key: PairKey
  readonly plan: PairPlan | undefined
  /** Undefined: nothing was to be done, or it could not be. */
  readonly done?: Done | 'removed' | undefined
  readonly error?: Error | undefined
  /** To be tried again. */
  readonly failed: boolean
  /** Milliseconds. */
  readonly ms: number
}

export interface PairBuildPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  readonly host: NamespaceKernel
  readonly planOf: (key: PairKey) => PairPlan | undefined
  /** Whether all is known that plans follow from. */
  readonly isReady: () => boolean
  readonly sandboxOf: (pod: PodKey) => PodSandbox | undefined
  readonly standing: Standing
  /** That has the address. */
  readonly device: (local: Ip) => IfIndex | undefined
  /** So many pairs at once. */
  readonly room: Serial
}

/** Where links of pairs may stand. What the kernel says decides; this is where it is asked. */
export interface Standing {
  /** Reads which pairs have links there, and takes away those of an agent that was killed. Rejects with what the kernel says. */
  scan(sandbox: PodSandbox): Promise<readonly PairKey[]>
  note(pair: PairKey, sandbox: PodSandbox): void
  forget(pair: PairKey, sandbox: PodSandbox): void
  of(pair: PairKey): readonly PodSandbox[]
  readonly pairs: Iterable<PairKey>
}

/** Milliseconds. What is being made has its mark by then. */
const MARK_MS = 2000

export function createStanding(namespaces: Namespaces, boot: string): Standing {
  const places = new Map<PairKey, Map<string, PodSandbox>>()
  const note: Standing['note'] = (pair, sandbox) => {
    const all = places.get(pair) ?? new Map()
    places.set(pair, all.set(sandbox.containerId, sandbox))
  }
  return {
    note,
    forget: (pair, {containerId}) => {
      const all = places.get(pair)
      all?.delete(containerId)
      if (all?.size === 0) places.delete(pair)
    },
    of: pair => [...(places.get(pair)?.values() ?? [])],
    get pairs() {
      return places.keys()
    },
    scan: async place => {
      const sandbox = await open(namespaces, place, boot)
      if (!sandbox) return []
      try {
        const isBusy = [...places.values()].some(each => each.has(place.containerId))
        const ends = await standingEnds(sandbox)
        for (const {pair} of ends) note(pair, place)
        const unmarked = await removeUnmarked(sandbox, () => isBusy)
        if (unmarked.length > 0) {
          await sleep(MARK_MS)
          await removeUnmarked(sandbox, index => !unmarked.includes(index))
        }
        return ends.map(({pair}) => pair)
      } finally {
        await sandbox.close()
      }
    },
  }
}

/** Undefined: it has gone, even if another one is to be found under its path. */
async function open(namespaces: Namespaces, {netns, first}: PodSandbox, boot: string): Promise<Sandbox | undefined> {
  const sandbox = await namespaces.open(netns).catch(error => {
    if (error instanceof SandboxGone) return undefined
    throw error
  })
  const known = first?.plan.boot === boot ? first.plan.sandbox : undefined
  if (!sandbox || known === undefined || known === sandbox.id) return sandbox
  await sandbox.close()
  return undefined
}

export function createPairPass(ports: PairBuildPorts): (key: PairKey) => Promise<PairReport> {
  const {attachments, namespaces, standing, room} = ports

  const removeAt = async (key: PairKey, place: PodSandbox): Promise<boolean> => {
    const sandbox = await open(namespaces, place, attachments.boot)
    try {
      const ends = sandbox ? (await standingEnds(sandbox)).filter(({pair}) => pair === key) : []
      for (const end of ends) await removeEnd(sandbox!, end)
      standing.forget(key, place)
      return ends.length > 0
    } finally {
      await sandbox?.close()
    }
  }

  const removeBut = async (key: PairKey, wanted: ReadonlySet<string>): Promise<boolean> => {
    const surplus = standing.of(key).filter(({containerId}) => !wanted.has(containerId))
    const removed = await Promise.all(surplus.map(place => removeAt(key, place)))
    return removed.includes(true)
  }

  const build = async (plan: VethPlan | VxlanPlan, places: readonly PodSandbox[]): Promise<Done | undefined> => {
    const opened = await Promise.all(places.map(place => open(namespaces, place, attachments.boot)))
    try {
      const sandboxes = opened.filter(each => each !== undefined)
      // Its end is on its way.
      if (sandboxes.length < places.length) return undefined
      return plan.kind === 'veth'
        ? await ensureVeth(ports.host, plan, sandboxes as [Sandbox, Sandbox])
        : await ensureVxlan(ports.host, plan, sandboxes[0]!, ports.device(plan.local))
    } finally {
      for (const each of opened) each?.close().catch(() => {})
    }
  }

  const pass = async (key: PairKey, plan: PairPlan | undefined): Promise<Done | 'removed' | undefined> => {
    const isBuilt = plan?.kind === 'veth' || plan?.kind === 'vxlan'
    // What stands may be of use again: the other end is only not ready, or not heard of.
    if (plan?.kind === 'waiting' && plan.waitsFor !== 'peer') return undefined
    const ends: readonly ReadyEnd[] = isBuilt ? plan.ends : []
    const places = ends.flatMap(({pod, sandbox}) => {
      const place = ports.sandboxOf(pod)
      return place?.containerId === sandbox ? place : []
    })
    // Before anything is waited for: whoever takes the pair away meanwhile is to know that there may be something.
    for (const place of places) standing.note(key, place)
    const removed = await removeBut(key, new Set(ends.map(({sandbox}) => sandbox)))
    if (!isBuilt) return removed ? 'removed' : undefined
    return places.length === plan.ends.length ? build(plan, places) : undefined
  }

  return key =>
    room.run(key, async () => {
      const began = performance.now()
      const report = (rest: Omit<PairReport, 'key' | 'ms'>) => ({key, ms: performance.now() - began, ...rest})
      // Only now: it may have changed while this one waited.
      const plan = ports.isReady() ? ports.planOf(key) : undefined
      if (!ports.isReady()) return report({plan, failed: false})
      try {
        return report({plan, done: await pass(key, plan), failed: false})
      } catch (error) {
        return report({plan, error: error as Error, failed: true})
      }
    })
}
