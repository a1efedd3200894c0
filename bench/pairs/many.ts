/** Part "many": a thousand ends of links that are asked for at once, on one node and between two. */
import {setTimeout as sleep} from 'node:timers/promises'
import {readPod} from '../attach/objects.ts'
import {Watch} from '../attach/watch.ts'
import type {Row} from '../results.ts'
import {median} from '../statistics.ts'
import {type Cost, countCost, showCost} from './costs.ts'
import {wrongLeftovers} from './leftovers.ts'
import {addPods, createPod, edit, endPods, type Pod} from './pods.ts'
import type {Session} from './session.ts'
import {rings, type Wishes, wishesOf} from './wishes.ts'

const PART = 'many links at once'
const STATUS = 'netgraft.dev/pairs-status'
/** Milliseconds, of a thousand ends on one node. */
const TARGET = {atMost: 5000}
/** Milliseconds in which agents tell of what they have done. */
const SETTLING = 1500
const LOOK = 100
const PATIENCE = 60_000

interface Turn {
  /** Milliseconds since the first PATCH was sent. */
  readonly patched: number
  readonly first: number
  readonly up: number
  readonly told: number
  readonly gone: number
  readonly cost: Cost
}

export async function measureMany(session: Session, count: number): Promise<void> {
  const {bench, store} = session
  for (const kind of ['one node', 'two nodes'] as const) {
    const names = Array.from({length: count}, (_, n) => `pod-${n}`)
    const wishes = wishesOf(names, rings(count))
    const turns: Turn[] = []
    const left = await withPods(session, names, kind === 'one node', async (watch, pods) => {
      for (let round = 0; round < bench.repetitions; round++)
        turns.push(await bench.calm.measure(() => play(session, watch, pods, wishes)))
    })
    const column = `${wishes.ends.length} ends, ${kind}, ${store}`
    const add = (name: string, pick: (turn: Turn) => number, more: Partial<Row> = {}) => {
      const values = turns.map(pick)
      bench.results.add(PART, column, {name, unit: 'ms', ...more}, median(values), values)
    }
    add('PATCHes sent → all answered', turn => turn.patched)
    add('PATCHes sent → the first end up', turn => turn.first)
    add('PATCHes sent → all up', turn => turn.up, kind === 'one node' ? {target: TARGET} : {})
    add('PATCHes sent → all pods are told', turn => turn.told)
    add('PATCHes sent → all gone', turn => turn.gone)
    showCost(bench.results, PART, column, turns.toSorted((a, b) => a.cost.cpu - b.cost.cpu)[turns.length >> 1]!.cost)
    bench.results.add(PART, column, {name: 'left behind', unit: '', target: {atMost: 0}}, left)
  }
}

/** All on the first node, or every other one on the second. Gives what is left behind. */
async function withPods(
  session: Session,
  names: readonly string[],
  together: boolean,
  work: (watch: Watch, pods: readonly Pod[]) => Promise<void>,
): Promise<number> {
  const {bench, sandboxes, nodes} = session
  const watch = await Watch.start(bench.run, sandboxes)
  try {
    const pods: Pod[] = []
    for (const [n, name] of names.entries())
      pods.push(await createPod(session, {name, node: nodes[together ? 0 : n % 2]!, sandbox: sandboxes[n]!}))
    await addPods(session, pods)
    await sleep(SETTLING)
    await work(watch, pods)
    await endPods(session, watch, pods)
    return (await wrongLeftovers(session)).length
  } finally {
    await watch.stop()
  }
}

async function play(session: Session, watch: Watch, pods: readonly Pod[], {annotations, ends}: Wishes): Promise<Turn> {
  const cost = await countCost(session)
  const expect = (want: 'there' | 'gone') =>
    Promise.all(ends.map(({pod, interface: ifname}) => watch.expect(pods[pod]!.sandbox, ifname, want)))
  const there = expect('there')
  const sentAt = performance.now()
  await Promise.all(pods.map((pod, n) => edit(session, pod, annotations[n]!)))
  const answeredAt = performance.now()
  const done = (await there).map(each => each.done)
  for (const [n, pod] of pods.entries()) await told(session, pod, ends.filter(end => end.pod === n).length)
  const toldAt = performance.now()
  await sleep(SETTLING)
  const spent = await cost()
  const gone = expect('gone')
  const removedAt = performance.now()
  await Promise.all(pods.map(pod => edit(session, pod, '')))
  const goneAt = Math.max(...(await gone).map(each => each.done))
  await sleep(SETTLING)
  return {
    patched: answeredAt - sentAt,
    first: Math.min(...done) - sentAt,
    up: Math.max(...done) - sentAt,
    told: toldAt - sentAt,
    gone: goneAt - removedAt,
    cost: spent,
  }
}

/** Resolves when its status says of so many ends that they are up. */
async function told({api}: Session, {name}: Pod, count: number): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const {annotations} = (await readPod(api, name)).metadata
    const states = JSON.parse(annotations?.[STATUS] ?? '[]') as {state: string}[]
    if (states.filter(({state}) => state === 'up').length === count) return
    if (performance.now() > deadline) throw new Error(`the status of ${name} is ${JSON.stringify(states)}`)
    await sleep(LOOK)
  }
}
