/** Part "latency": from a request to the API server to the route in the kernel, while nodes come, change and go. */
import {setTimeout as sleep} from 'node:timers/promises'
import {nodeName, nodeObject, podCIDRsOf} from '../cluster.ts'
import {median, percentile} from '../statistics.ts'
import {cpuMs, memory} from '../usage.ts'
import {columnOf} from './case.ts'
import {histogramOf, since} from './histogram.ts'
import type {Session} from './session.ts'
import {nameOf, type Seen, Sight} from './sight.ts'

const PART = 'node event to kernel'
/** Events a second, and for how many seconds. */
const PACES = [
  {rate: 20, seconds: 6},
  {rate: 100, seconds: 12},
] as const
const [BUSY] = PACES.slice(-1)
const KINDS = ['POST', 'PATCH', 'DELETE'] as const
type Kind = (typeof KINDS)[number]
/** Milliseconds. */
const TARGET = {p50: 5, p99: 10}
const PATIENCE = 10_000
/** Seconds after which a node that has come is changed, and goes. */
const [CHANGED_AFTER, DELETED_AFTER] = [1, 3]
/** Where the pod ranges are that nodes change to, by number. */
const OTHER_RANGES = 20_000

/** Of an agent that has nothing to do any more. */
export async function measureLatency(session: Session): Promise<void> {
  const {results, calm} = session.bench
  const {what, agent, site} = session
  const column = columnOf(what)
  const sight = await Sight.open(site.path)
  try {
    const add = (name: string, value: number, target?: number, unit = 'ms') =>
      results.add(PART, column, {name, unit, ...(target !== undefined && {target: {atMost: target}})}, value)
    for (const pace of PACES) {
      const {latencies, own, cpuMsPerEvent} = await calm.measure(() => play(session, sight, pace))
      const {rate} = pace
      const {POST: posts} = latencies
      add(`POST, ${rate} events/s: p50`, median(posts), TARGET.p50)
      add(`POST, ${rate} events/s: p99`, percentile(posts, 0.99), TARGET.p99)
      add(`POST, ${rate} events/s: max`, Math.max(...posts))
      if (pace !== BUSY) continue
      for (const kind of ['PATCH', 'DELETE'] as const) {
        add(`${kind}, ${rate} events/s: p50`, median(latencies[kind]))
        add(`${kind}, ${rate} events/s: p99`, percentile(latencies[kind], 0.99))
      }
      add(`netgraft_event_to_kernel, ${rate} events/s: mean`, (own.sum / own.count) * 1000)
      add(`netgraft_event_to_kernel, ${rate} events/s: p99 at most`, own.atMost(0.99) * 1000)
      add("agent's processor time per event", cpuMsPerEvent)
    }
    add("agent's RSS after all of them", (await memory(agent.pid)).rss, undefined, 'MB')
  } finally {
    sight.close()
  }
}

/** As seen from outside, and as the agent itself tells. */
async function play(session: Session, sight: Sight, {rate, seconds}: (typeof PACES)[number]) {
  const {api, agent} = session
  const metrics = async () => histogramOf((await api.askAgent('/metrics'))?.body ?? '')
  const before = {own: await metrics(), cpu: await cpuMs(agent.pid)}
  const latencies = await new Events(session, sight).play(rate, rate * seconds)
  const cpuMsPerEvent = ((await cpuMs(agent.pid)) - before.cpu) / (rate * seconds)
  return {latencies, own: since(await metrics(), before.own), cpuMsPerEvent}
}

interface Event {
  readonly kind: Kind
  /** `performance.now()`. */
  readonly sentAt: number
  readonly podCIDRs: readonly string[]
  /** What is still to be seen. */
  readonly names: Set<string>
}

class Events {
  readonly #session: Session
  readonly #done: Record<Kind, number[]> = {POST: [], PATCH: [], DELETE: []}
  /** By what is to be seen of an event. */
  readonly #awaited = new Map<string, Event>()
  /** The last event of each node that has come. */
  readonly #nodes = new Map<number, Event>()

  constructor(session: Session, sight: Sight) {
    this.#session = session
    sight.onChange = seen => this.#see(seen)
  }

  /**
   * So many events, evenly spread, a third of each kind: how many milliseconds each took. At the end the cluster is made
   * as it was.
   */
  async play(rate: number, count: number): Promise<Readonly<Record<Kind, readonly number[]>>> {
    const {nodes} = this.#session.what
    const nodesWithin = (seconds: number) => Math.ceil((rate / KINDS.length) * seconds)
    const sent: Promise<unknown>[] = []
    const startedAt = performance.now()
    for (let i = 0; i < count; i++) {
      await sleep(Math.max(0, startedAt + (i * 1000) / rate - performance.now()))
      const n = nodes + Math.floor(i / KINDS.length)
      const changing = n - nodesWithin(CHANGED_AFTER)
      const going = n - nodesWithin(DELETED_AFTER)
      const kind = KINDS[i % KINDS.length]!
      if (kind === 'POST') sent.push(this.#create(n))
      else if (kind === 'PATCH' && changing >= nodes) sent.push(this.#change(changing))
      else if (kind === 'DELETE' && going >= nodes) sent.push(this.#delete(going))
    }
    await Promise.all(sent)
    await this.#allSeen()
    const measured = {...this.#done, DELETE: [...this.#done.DELETE]}
    await Promise.all([...this.#nodes.keys()].map(n => this.#delete(n)))
    await this.#allSeen()
    return measured
  }

  #create(n: number): Promise<unknown> {
    const body = nodeObject(n, this.#session.what.backend)
    this.#expect('POST', n, podCIDRsOf(n))
    return this.#session.api.send('POST', '/api/v1/nodes', body)
  }

  #change(n: number): Promise<unknown> {
    const podCIDRs = podCIDRsOf(n + OTHER_RANGES)
    this.#expect('PATCH', n, podCIDRs)
    return this.#session.api.send('PATCH', `/api/v1/nodes/${nodeName(n)}`, {spec: {podCIDR: podCIDRs[0], podCIDRs}})
  }

  #delete(n: number): Promise<unknown> {
    const {podCIDRs, names} = this.#nodes.get(n)!
    this.#expect(
      'DELETE',
      n,
      podCIDRs.filter(cidr => !names.has(`+route ${cidr}`)),
    )
    this.#nodes.delete(n)
    return this.#session.api.send('DELETE', `/api/v1/nodes/${nodeName(n)}`)
  }

  /** What came before of this node and has not been seen is superseded: it took at least as long as until now. */
  #expect(kind: Kind, n: number, podCIDRs: readonly string[]): void {
    const sentAt = performance.now()
    const before = this.#nodes.get(n)
    if (before && before.names.size > 0) {
      for (const name of before.names) this.#awaited.delete(name)
      this.#done[before.kind].push(sentAt - before.sentAt)
    }
    const names = podCIDRs.map(cidr => `${kind === 'DELETE' ? '-' : '+'}route ${cidr}`)
    const event: Event = {kind, sentAt, podCIDRs, names: new Set(names)}
    this.#nodes.set(n, event)
    for (const name of names) this.#awaited.set(name, event)
  }

  #see({change, at}: Seen): void {
    const name = `${change.gone ? '-' : '+'}${nameOf(change)}`
    const event = this.#awaited.get(name)
    if (!event) return
    this.#awaited.delete(name)
    event.names.delete(name)
    if (event.names.size === 0) this.#done[event.kind].push(at - event.sentAt)
  }

  async #allSeen(): Promise<void> {
    const deadline = performance.now() + PATIENCE
    while (this.#awaited.size > 0) {
      if (performance.now() > deadline)
        throw new Error(`never seen: ${[...this.#awaited.keys()].slice(0, 5).join(', ')}`)
      await sleep(5)
    }
  }
}
