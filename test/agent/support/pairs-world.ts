/** A cluster to which operations happen, and what is known of it without asking the agents. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Pod} from './cni.ts'
import type {Declared} from './networks.ts'
import {type Cluster, PAIRS, pings} from './pairs.ts'
import {inKernel, type Sandboxes, stored} from './pairs-look.ts'
import {elementOf, expected, type ModelPod} from './pairs-model.ts'
import {type Leaving, NODES, type Node, type Op, PODS, type Says} from './pairs-ops.ts'

/** Milliseconds. */
const PATIENCE = 30_000
const EVERY = 20

type Placed = Declared & {readonly node: Node}

interface WorldPod extends ModelPod {
  /** Whose `id` and `namespace` are those of its sandbox, if it has one. */
  readonly placed: Placed
}

export class World {
  readonly #cluster: Cluster
  /** By index. */
  readonly #pods = new Map<number, WorldPod>()
  /** Sandboxes whose DEL is still to come. `isThere`: their namespace. */
  readonly #left: {readonly placed: Placed; readonly isThere: boolean}[] = []
  #isApiDown = false

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async happens(op: Op): Promise<void> {
    switch (op.do) {
      case 'start':
        if (this.#pods.get(op.pod)?.sandbox !== undefined) return
        if (!this.#pods.has(op.pod)) await this.#declare(op.pod, op.node, op.says)
        return this.#wire(op.pod)
      case 'declare':
        if (!this.#pods.has(op.pod)) await this.#declare(op.pod, op.node, op.says)
        return
      case 'stop':
        return this.#stop(op.pod, op.how)
      case 'stop both': {
        const [one, other] = op.pods
        await Promise.all([this.#stop(one, op.how), ...(one === other ? [] : [this.#stop(other, op.how)])])
        return
      }
      case 'restart':
        return this.#restart(op.pod, op.how)
      case 'move': {
        const before = this.#pods.get(op.pod)
        if (!before) return
        await this.#stop(op.pod, op.how)
        await this.#declare(op.pod, op.node, before.says)
        return this.#wire(op.pod)
      }
      case 'edit':
        return this.#edit(op.pod, op.says)
      case 'delete link':
        return this.#deleteLink(op.pod, op.nth)
      case 'end agent': {
        const {agent} = this.#cluster.at(op.node).node
        await agent.kill(op.signal)
        await sleep(op.ms)
        agent.start()
        return
      }
      case 'API server':
        return op.is === 'down' ? this.#apiDown() : this.#apiUp()
      case 'watches':
        return this.#disturb(op.are)
      case 'delete document': {
        const documents = this.#cluster.api.list(`${op.of}.netgraft.dev`)
        const {metadata} = documents[op.nth % documents.length] ?? {}
        if (metadata) this.#cluster.api.delete({resource: `${op.of}.netgraft.dev`, ...named(metadata)})
        return
      }
      case 'wait':
        await sleep(op.ms)
        return
      case 'check':
        return this.check()
    }
  }

  /** Waits until everything is as the model says. Rejects with what is different. */
  async check(): Promise<void> {
    await this.#apiUp()
    const want = expected(this.#pods, this.#count())
    const places = this.#sandboxes()
    const deadline = performance.now() + PATIENCE
    const isOfStore = (line: string) => /^(vni|told|pair|status) /.test(line)
    for (let lastly = false; ; ) {
      let [missing, surplus] = differences(want.lines.filter(isOfStore), stored(this.#cluster), want.perhaps)
      if (missing.length + surplus.length === 0) {
        const lines = [...stored(this.#cluster), ...(await inKernel(this.#cluster, places))]
        ;[missing, surplus] = differences(want.lines, lines, want.perhaps)
      }
      if (missing.length + surplus.length === 0) {
        if (lastly) break
        // What is right for a moment only is not at rest.
        lastly = true
        await sleep(2 * EVERY)
        continue
      }
      lastly = false
      if (performance.now() > deadline)
        throw new Error(`never came true:\nmissing\n  ${missing.join('\n  ')}\ntoo much\n  ${surplus.join('\n  ')}`)
      await sleep(EVERY)
    }
    for (const {from, to} of want.pings.slice(0, 3)) {
      const {placed} = this.#pods.get(from)!
      while (!pings(placed.namespace, to)) {
        if (performance.now() > deadline) throw new Error(`${placed.name} does not reach ${to}`)
        await sleep(EVERY)
      }
    }
  }

  /** All pods go, and nothing of them is left. */
  async end(): Promise<void> {
    await this.#apiUp()
    const left = this.#left.splice(0)
    await Promise.all(left.map(({placed}) => this.#remove(placed)))
    await this.check()
    await Promise.all([...this.#pods.keys()].map(index => this.#stop(index, 'object first')))
    await this.check()
  }

  /** The Pod object. */
  async #declare(index: number, node: Node, says: readonly Says[]): Promise<void> {
    const declared = await this.#cluster.at(node).declare(annotation(index, says), PODS[index])
    this.#pods.set(index, {placed: {...declared, node}, uid: declared.uid, node, says})
  }

  /** The runtime tries until it works, each time with another sandbox. */
  async #wire(index: number): Promise<void> {
    const pod = this.#pods.get(index)!
    const networks = this.#cluster.at(pod.node)
    let placed = pod.placed
    for (let tries = 1; ; tries++) {
      try {
        await networks.wire(placed)
        break
      } catch (error) {
        if (tries === 3) throw error
        await this.#remove(placed)
        placed = {...placed, ...(await this.#sandbox(pod.node))}
      }
    }
    this.#pods.set(index, {...pod, placed, sandbox: placed.id})
  }

  async #sandbox(node: Node): Promise<Pod> {
    const [sandbox] = await this.#cluster.at(node).runtime.pods(1)
    return sandbox!
  }

  async #stop(index: number, how: Leaving): Promise<void> {
    const pod = this.#pods.get(index)
    if (!pod) return
    this.#pods.delete(index)
    const remove = () => this.#cluster.api.delete({resource: 'pods', name: PODS[index]!})
    if (how !== 'DEL first') remove()
    if (pod.sandbox === undefined) pod.placed.namespace.remove()
    else await this.#leave(pod.placed, how)
    if (how === 'DEL first') remove()
  }

  async #restart(index: number, how: Leaving): Promise<void> {
    const pod = this.#pods.get(index)
    if (pod?.sandbox === undefined) return
    const placed = {...pod.placed, ...(await this.#sandbox(pod.node))}
    this.#pods.set(index, {...pod, placed, sandbox: undefined})
    if (how === 'DEL first') await this.#leave(pod.placed, how)
    await this.#wire(index)
    if (how !== 'DEL first') await this.#leave(pod.placed, how)
  }

  async #leave(placed: Placed, how: Leaving): Promise<void> {
    if (how === 'no DEL') placed.namespace.remove()
    if (how === 'no DEL' || how === 'late DEL') this.#left.push({placed, isThere: how === 'late DEL'})
    else await this.#remove(placed)
  }

  async #remove(placed: Placed): Promise<void> {
    await this.#cluster.at(placed.node).runtime.succeeds('DEL', placed)
    placed.namespace.remove()
  }

  #edit(index: number, edits: readonly (readonly Says[])[]): void {
    for (const says of edits) {
      const pod = this.#pods.get(index)
      if (!pod) return
      this.#pods.set(index, {...pod, says})
      this.#cluster.at(pod.node).annotate(pod.placed, {[PAIRS]: null, ...annotation(index, says)})
    }
  }

  #deleteLink(index: number, nth: number): void {
    const pod = this.#pods.get(index)
    if (pod?.sandbox === undefined) return
    const {namespace} = pod.placed
    const links = namespace.json('link', 'show').filter(({ifname}) => !['lo', 'eth0'].includes(ifname))
    const link = links[nth % links.length]
    try {
      if (link) namespace.ip('link', 'del', link.ifname)
    } catch (error) {
      // The agent was quicker.
      if (!String(error).includes('Cannot find device')) throw error
    }
  }

  async #apiDown(): Promise<void> {
    if (this.#isApiDown) return
    this.#isApiDown = true
    await this.#cluster.api.faults.down()
  }

  async #apiUp(): Promise<void> {
    if (!this.#isApiDown) return
    this.#isApiDown = false
    await this.#cluster.api.faults.up()
  }

  #disturb(how: Extract<Op, {do: 'watches'}>['are']): void {
    const {faults} = this.#cluster.api
    if (how === 'failing') faults.fail(3, 500)
    else if (how === 'truncated') faults.truncateNext()
    else if (how === 'compacted') faults.compact({cutWatches: true})
    else {
      if (how === 'gone') faults.gone(2)
      faults.cutWatches()
    }
  }

  #sandboxes(): Sandboxes {
    const wanted = [...this.#pods.values()].flatMap(({placed, sandbox}) => (sandbox === undefined ? [] : placed))
    return [...wanted, ...this.#left.flatMap(({placed, isThere}) => (isThere ? placed : []))]
  }

  #count(): ReadonlyMap<Node, number> {
    const all = this.#sandboxes()
    return new Map(NODES.map(node => [node, all.filter(each => each.node === node).length]))
  }
}

const annotation = (index: number, says: readonly Says[]): Record<string, string> =>
  says.length > 0 ? {[PAIRS]: JSON.stringify(says.map(each => elementOf(index, each)))} : {}

const named = ({namespace, name}: {namespace?: string; name: string}): {namespace?: string; name: string} => ({
  name,
  ...(namespace !== undefined && {namespace}),
})

/** What is missing, and what is too much. A line twice is not a line once. `perhaps`: beginnings of what may be there once. */
function differences(
  want: readonly string[],
  have: readonly string[],
  perhaps: readonly string[],
): [missing: string[], surplus: string[]] {
  const surplus = [...have]
  const missing = want.filter(line => {
    const at = surplus.indexOf(line)
    if (at >= 0) surplus.splice(at, 1)
    return at < 0
  })
  for (const start of perhaps) {
    const at = surplus.findIndex(line => line.startsWith(start))
    if (at >= 0) surplus.splice(at, 1)
  }
  return [missing, surplus]
}
