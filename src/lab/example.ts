/** An example is shown in steps: something is done, and what follows is waited for. Here is what all examples share. */
import {pathOf, type RequestOptions} from '../kube/client.ts'
import type {Ip} from '../model/ip.ts'
import {sleep} from '../streams/lifetime.ts'
import {Inside} from './inside.ts'
import type {Lab} from './lab.ts'
import type {LabNode} from './node.ts'
import {type LabPod, podText} from './pods.ts'

/** One thing that was to be seen. */
export interface Step {
  /** Since the lab's start, in milliseconds. */
  readonly at: number
  /** What was done, and what followed. */
  readonly text: string
  /** Milliseconds that it took; undefined: it has not come true. */
  readonly ms: number | undefined
}

/** What has been shown so far. */
export interface Example {
  readonly name: string
  /** Where it takes place. */
  readonly nodes: readonly string[]
  readonly steps: Step[]
  /** What people may give to kubectl, once all has come true and stays. */
  hint?: string
}

/** What is to be shown. */
export interface Story {
  readonly name: string
  /** How many it takes place on at most. */
  readonly nodes: number
  readonly hint: string
  /** Rejects when something does not come true. */
  readonly tell: (stage: Stage) => Promise<void>
}

export interface ExampleOptions {
  /** Ends with the pods' deletion. */
  readonly remove: boolean
  readonly signal: AbortSignal
  readonly tell: (step: Step) => void
}

/** Milliseconds until what does not come true has failed. */
const PATIENCE = 30_000
const MERGE_PATCH = 'application/merge-patch+json'
const PODS = {group: '', version: 'v1', resource: 'pods', namespace: 'default'} as const

export const cameTrue = ({steps}: Pick<Example, 'steps'>): boolean => steps.every(({ms}) => ms !== undefined)

/** What fails ends it, since the rest would fail for that alone. It is kept in `lab.examples`, too. */
export async function showExample(lab: Lab, story: Story, options: ExampleOptions): Promise<Example> {
  const nodes = lab.nodes.slice(0, story.nodes)
  const example: Example = {name: story.name, nodes: nodes.map(({name}) => name), steps: []}
  lab.examples.push(example)
  const tell = (step: Step) => {
    example.steps.push(step)
    options.tell(step)
  }
  const stage = new Stage(lab, nodes, {...options, tell})
  try {
    await story.tell(stage)
    if (!options.remove) example.hint = story.hint
  } catch (error) {
    if (!(error instanceof NotSeen) && !options.signal.aborted)
      tell({at: lab.elapsed, text: `it ended: ${(error as Error).message}`, ms: undefined})
  } finally {
    stage.leave()
  }
  return example
}

class NotSeen extends Error {}

/** A pod of an example. */
export interface Role {
  readonly name: string
  readonly node: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface PingsFrom {
  readonly from: LabPod
  readonly addresses: readonly Ip[]
}

/** Where a story is told: its pods are in the namespace default, and nobody else's pings go to them. */
export class Stage {
  readonly lab: Lab
  readonly nodes: readonly LabNode[]
  readonly remove: boolean
  readonly #options: ExampleOptions
  /** By the namespace's name. */
  readonly #insides = new Map<string, Inside>()

  constructor(lab: Lab, nodes: readonly LabNode[], options: ExampleOptions) {
    this.lab = lab
    this.nodes = nodes
    this.remove = options.remove
    this.#options = options
  }

  /** Does something, then looks again and again until what follows is there. */
  async step<T>(text: string, act: () => Promise<() => Promise<T | undefined | false>>): Promise<T> {
    const {signal, tell} = this.#options
    const began = performance.now()
    const look = await act()
    for (;;) {
      signal.throwIfAborted()
      const looked = performance.now()
      const seen = await look()
      const now = performance.now()
      const ms = now - began
      if (seen !== undefined && seen !== false) {
        tell({at: this.lab.elapsed, text, ms})
        return seen
      }
      if (ms > PATIENCE) {
        tell({at: this.lab.elapsed, text: `${text}: not within ${PATIENCE / 1000} s`, ms: undefined})
        throw new NotSeen()
      }
      // Exact where it is quick, and no burden where it is not.
      await sleep(Math.max(ms < 200 ? 1 : 20, now - looked), signal)
    }
  }

  /** Everything is asked once, then again what has not been answered. */
  async reach(text: string, pings: readonly PingsFrom[]): Promise<void> {
    let silent = pings
    await this.step(text, async () => async () => {
      const asked = silent.map(async ({from, addresses}) => {
        const answers = await this.lab.pingAddresses(from, addresses)
        return {from, addresses: addresses.filter((_, i) => answers[i] === undefined)}
      })
      silent = (await Promise.all(asked)).filter(({addresses}) => addresses.length > 0)
      return silent.length === 0
    })
  }

  /** To the API server. */
  request(method: string, path: string, more: Omit<RequestOptions, 'signal'> = {}): Promise<unknown> {
    return this.lab.client.request(method, path, {...more, signal: this.#options.signal})
  }

  async create({name, node, ...metadata}: Role): Promise<void> {
    this.lab.apart.add(name)
    const spec = {nodeName: node, containers: [{name: 'namespace', image: 'none'}]}
    const body = {apiVersion: 'v1', kind: 'Pod', metadata: {labels: {app: name}, ...metadata, name}, spec}
    await this.request('POST', pathOf(PODS), {body})
  }

  async annotate(name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
    const body = {metadata: {annotations}}
    await this.request('PATCH', pathOf(PODS, name), {body, contentType: MERGE_PATCH})
  }

  async annotationsOf(name: string): Promise<Readonly<Record<string, string>>> {
    const {metadata} = (await this.request('GET', pathOf(PODS, name))) as {
      metadata: {annotations?: Record<string, string>}
    }
    return metadata.annotations ?? {}
  }

  /** Undefined: it has no network yet. */
  pod(name: string): LabPod | undefined {
    return this.lab.pods.find(pod => podText(pod) === name && pod.addMs !== undefined)
  }

  /** Undefined: some of them have no network yet. */
  pods(names: readonly string[]): readonly LabPod[] | undefined {
    const pods = names.flatMap(name => this.pod(name) ?? [])
    return pods.length === names.length ? pods : undefined
  }

  isGone(name: string): boolean {
    return !this.lab.pods.some(pod => podText(pod) === name)
  }

  /** Kept open until the pod is deleted here. */
  async inside({netns}: LabPod): Promise<Inside> {
    const inside = this.#insides.get(netns) ?? (await Inside.open(netns))
    this.#insides.set(netns, inside)
    return inside
  }

  async delete(name: string): Promise<void> {
    // What is held open would keep its namespace.
    this.leave(this.pod(name)?.netns)
    await this.request('DELETE', pathOf(PODS, name))
  }

  /** @param netns one of them @default all */
  leave(netns?: string): void {
    for (const [name, inside] of this.#insides) {
      if (netns !== undefined && name !== netns) continue
      inside.close()
      this.#insides.delete(name)
    }
  }
}
