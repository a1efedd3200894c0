/**
 * The lab's kubelet and scheduler, for all of its nodes: what pod objects there are is compared with what runs, pod by pod,
 * whenever either changes, and again after what failed.
 */
import type {Subscription} from 'rxjs'
import type {KubeClient} from '../kube/client.ts'
import {Backoff} from '../streams/backoff.ts'
import {sleep} from '../streams/lifetime.ts'
import {reflect} from '../streams/reflector.ts'
import {createSlots} from './limit.ts'
import type {LabNode} from './node.ts'
import {bindPod, endPod, podRuns} from './objects.ts'
import {tellOfPod} from './pod-events.ts'
import {equalPodWishes, type PodWish, projectPodWish} from './pod-wish.ts'
import {addPod, deletePod, type LabPod, podOf, type Runtime} from './pods.ts'
import type {Sandboxes} from './sandboxes.ts'

export interface KubeletPorts {
  readonly client: KubeClient
  readonly nodes: readonly LabNode[]
  readonly runtimeOf: (node: LabNode) => Runtime
  readonly sandboxes: Sandboxes
  readonly signal: AbortSignal
  /** A pod has its network. */
  readonly started: (pod: LabPod) => void
  /** Neither the pod nor its object is there any more. @param delMs none: it never had a network */
  readonly gone: (pod: PodWish, delMs: number | undefined) => void
  readonly trouble: (pod: PodWish, message: string) => void
}

export interface Kubelet {
  /** What may be possible now was not before: a node's agent has become ready. */
  wake(): void
  close(): void
}

/** A pod that was started. */
interface Running {
  readonly wish: PodWish
  readonly node: LabNode
  /** None: it has the node's own. */
  readonly pod?: LabPod
  /** Its object says so. */
  reported: boolean
}

/** What is known of one pod beside its object. */
interface Loop {
  running?: Running
  /** Its namespace is there and has no network. */
  netns?: string
  delMs?: number
  last?: PodWish
  /** Ends the pause before the next look. */
  wake: AbortController
}

const STARTS_AT_ONCE = 4
const STOPS_AT_ONCE = 4
/** Milliseconds. */
const RETRY = {baseMs: 50, capMs: 5_000, jitter: 'equal'} as const
const FOR_EVER = 2 ** 31 - 1

export function startKubelet(ports: KubeletPorts): Kubelet {
  const {client, nodes, sandboxes, signal} = ports
  const loops = new Map<string, Loop>()
  const [starts, stops] = [createSlots(STARTS_AT_ONCE), createSlots(STOPS_AT_ONCE)]
  let wishes: ReadonlyMap<string, PodWish> = new Map()
  let scheduled = 0

  /** Does the next thing that is due. Resolves with whether there may be more to do at once; undefined: it is over. */
  const step = async (key: string, loop: Loop): Promise<boolean | undefined> => {
    const wish = wishes.get(key)
    const {running} = loop
    if (running && (running.wish.uid !== wish?.uid || wish.ending)) {
      await stops(() => stop(loop, running))
      return true
    }
    if (!wish) {
      if (loop.netns) await sandboxes.remove(loop.netns)
      return undefined
    }
    loop.last = wish
    if (wish.ending) await endPod(client, wish, signal)
    else if (wish.node === '') await schedule(wish)
    else if (running) await report(running)
    else return starts(() => start(loop, key))
    return false
  }

  const schedule = async (wish: PodWish): Promise<void> => {
    const node = nodes[scheduled++ % nodes.length]!
    await bindPod(client, wish, node.name, signal)
  }

  /** Only where an agent says that it is ready, as the kubelet waits for a node's network. */
  const start = async (loop: Loop, key: string): Promise<boolean> => {
    const wish = wishes.get(key)
    const node = nodes.find(({name}) => name === wish?.node)
    if (!wish || wish.ending || !node) return false
    if (wish.hostNetwork) {
      loop.running = {wish, node, reported: false}
      return true
    }
    if (node.agent.state.is !== 'ready') return false
    loop.netns ??= await sandboxes.make(wish)
    const {name, namespace, uid} = wish
    const pod = podOf({name, node: node.name, netns: loop.netns}, {namespace, uid})
    const runtime = ports.runtimeOf(node)
    try {
      loop.running = {wish, node, pod: await addPod(runtime, pod, wish.annotations), reported: false}
    } catch (error) {
      const {message} = error as Error
      ports.trouble(wish, message)
      const event = {type: 'Warning', reason: 'FailedCreatePodSandBox', message} as const
      void tellOfPod(client, {namespace, name, uid}, node.name, event, signal)
      // What is left of it; the next try is another sandbox.
      await deletePod(runtime, pod, wish.annotations).catch(() => {})
      throw error
    }
    ports.started(loop.running.pod!)
    return true
  }

  const report = async (running: Running): Promise<void> => {
    if (running.reported) return
    const {wish, node, pod} = running
    const addresses = pod?.addresses ?? node.plan.addresses.map(({ip}) => ip)
    await podRuns(client, node.plan, wish, addresses, signal)
    running.reported = true
  }

  const stop = async (loop: Loop, {wish, node, pod}: Running): Promise<void> => {
    if (pod) {
      const began = performance.now()
      try {
        await deletePod(ports.runtimeOf(node), pod, wish.annotations)
      } catch (error) {
        ports.trouble(wish, (error as Error).message)
        const event = {type: 'Warning', reason: 'FailedKillPod', message: (error as Error).message} as const
        void tellOfPod(client, {namespace: wish.namespace, name: wish.name, uid: wish.uid}, node.name, event, signal)
        throw error
      }
      loop.delMs = performance.now() - began
      await sandboxes.remove(pod.netns)
      delete loop.netns
    }
    delete loop.running
  }

  const keep = async (key: string, loop: Loop): Promise<void> => {
    const backoff = new Backoff(RETRY)
    while (!signal.aborted) {
      const {wake} = loop
      let pause: number
      try {
        const more = await step(key, loop)
        if (more === undefined) break
        backoff.reset()
        pause = more ? 0 : FOR_EVER
      } catch {
        pause = backoff.next()
      }
      if (pause > 0) await sleep(pause, AbortSignal.any([signal, wake.signal]))
    }
    loops.delete(key)
    if (signal.aborted) return
    if (loop.last) ports.gone(loop.last, loop.delMs)
    // It may have come again since.
    if (wishes.has(key)) begin(key)
  }

  const begin = (key: string): void => {
    const loop: Loop = {wake: new AbortController()}
    loops.set(key, loop)
    void keep(key, loop)
  }

  const wake = (loop: Loop): void => {
    const {wake} = loop
    loop.wake = new AbortController()
    wake.abort()
  }

  const options = {what: 'pods', project: projectPodWish, equal: equalPodWishes}
  const pods = client.listWatch({group: '', version: 'v1', resource: 'pods'})
  let known: ReadonlyMap<string, PodWish> = new Map()
  const watching: Subscription = reflect<PodWish>(pods, options).subscribe(view => {
    if (!view.synced) return
    wishes = view.items
    for (const key of new Set([...known.keys(), ...wishes.keys()])) {
      if (known.get(key) === wishes.get(key)) continue
      const loop = loops.get(key)
      if (loop) wake(loop)
      else if (wishes.has(key)) begin(key)
    }
    known = new Map(wishes)
  })

  return {
    wake: () => {
      for (const loop of loops.values()) wake(loop)
    },
    close: () => watching.unsubscribe(),
  }
}
