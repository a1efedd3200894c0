/** The pods of a lab, those of its plan and whichever else somebody makes, and what is told of them. */

import {type Kubelet, type KubeletPorts, startKubelet} from './kubelet.ts'
import type {LabEvent} from './lab.ts'
import type {LabPlan} from './plan.ts'
import {type LabPod, podsOf, podText} from './pods.ts'

export type PodPorts = Omit<KubeletPorts, 'started' | 'gone' | 'trouble'> & {
  readonly tell: (event: Omit<LabEvent, 'at'>) => void
}

export class LabPods {
  /** Why a pod has no network yet. */
  trouble = ''
  /** By `podText`: those of the plan first, with their addresses as soon as they have them. */
  readonly #pods: Map<string, LabPod>
  /** Those of the plan that have not had their network yet. */
  readonly #awaited: Set<string>
  readonly #up = Promise.withResolvers<void>()
  #tell: PodPorts['tell'] = () => {}
  #kubelet: Kubelet | undefined

  constructor(plan: LabPlan) {
    this.#pods = new Map(podsOf(plan).map(pod => [podText(pod), pod]))
    this.#awaited = new Set(this.#pods.keys())
  }

  get all(): readonly LabPod[] {
    return [...this.#pods.values()]
  }

  /** Resolves when those of the plan have had their network. */
  get up(): Promise<void> {
    return this.#up.promise
  }

  start({tell, ...ports}: PodPorts): void {
    this.#tell = tell
    this.#kubelet = startKubelet({
      ...ports,
      started: pod => this.#started(pod),
      gone: ({node, ...pod}, delMs) => {
        this.#pods.delete(podText(pod))
        const took = delMs === undefined ? '' : `: DEL took ${milliseconds(delMs)}`
        tell({...(node && {node}), text: `${podText(pod)} is gone${took}`})
        this.#settle(podText(pod))
      },
      trouble: (pod, message) => {
        this.trouble = `${podText(pod)}: ${message}`
        if (!this.#awaited.has(podText(pod))) tell({node: pod.node, text: this.trouble, mood: 'bad'})
      },
    })
    this.#settle()
  }

  /** A node's agent has become ready. */
  wake(): void {
    this.#kubelet?.wake()
  }

  stop(): void {
    this.#kubelet?.close()
  }

  #started(pod: LabPod): void {
    const text = podText(pod)
    this.#pods.set(text, pod)
    if (this.#awaited.has(text)) this.#settle(text)
    else this.#tell({node: pod.node, text: `${text} has its network: ADD took ${milliseconds(pod.addMs!)}`})
  }

  /** One less to wait for. */
  #settle(text?: string): void {
    if (text !== undefined && this.#awaited.delete(text) && this.#awaited.size === 0) {
      const times = this.all.flatMap(({addMs}) => addMs ?? []).sort((a, b) => a - b)
      const [median, last] = [times[times.length >> 1] ?? 0, times.at(-1) ?? 0].map(milliseconds)
      this.#tell({text: `${times.length} pods have their network: ADD took ${median}, at most ${last}`, mood: 'good'})
    }
    if (this.#awaited.size === 0) this.#up.resolve()
  }
}

const milliseconds = (ms: number): string => `${ms.toFixed(1)} ms`
