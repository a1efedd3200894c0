/** Part "move": pods with many links each are taken down, and come up on the other node: veths become tunnels, and back. */
import {setTimeout as sleep} from 'node:timers/promises'
import {Watch} from '../attach/watch.ts'
import {median} from '../statistics.ts'
import {type Cost, countCost, showCost} from './costs.ts'
import {wrongLeftovers} from './leftovers.ts'
import {addPods, createPod, endPods, type Pod} from './pods.ts'
import type {ClusterNode, Session} from './session.ts'
import {between, type Wishes, wishesOf} from './wishes.ts'

const PART = 'pods that move'
/** At most: 200 links. */
const MOVERS = 20
const STAYERS = 10
/** Milliseconds in which agents tell of what they have done. */
const SETTLING = 1500

interface Moved {
  /** Milliseconds: since the pods were taken down, and since they were started anew. */
  readonly all: number
  readonly started: number
  readonly cost: Cost
}

export async function measureMove(session: Session, pods: number): Promise<void> {
  const {bench, store, nodes, sandboxes} = session
  const stayers = Math.min(STAYERS, Math.floor(pods / 3))
  const movers = Math.min(MOVERS, Math.floor((pods - stayers) / 2))
  const names = Array.from({length: movers + stayers}, (_, n) => (n < movers ? `mover-${n}` : `stayer-${n - movers}`))
  const wishes = wishesOf(names, between(movers, stayers))
  // Of the movers, those that they are in next.
  const spare = sandboxes.slice(movers + stayers, movers + stayers + movers)
  const watch = await Watch.start(bench.run, sandboxes)
  const moves = {'veth → vxlan': [] as Moved[], 'vxlan → veth': [] as Moved[]}
  let left = 0
  try {
    let all = await startAll(session, watch, wishes, names)
    let free = spare
    const move = async (to: ClusterNode) => {
      const result = await moveAll(session, watch, wishes, {pods: all, movers, to, free})
      free = all.slice(0, movers).map(({sandbox}) => sandbox)
      all = result.pods
      return result
    }
    for (let round = 0; round < bench.repetitions; round++) {
      const [there, back] = await bench.calm.measure(async () => [await move(nodes[1]), await move(nodes[0])] as const)
      moves['veth → vxlan'].push(there)
      moves['vxlan → veth'].push(back)
    }
    await endPods(session, watch, all)
    left = (await wrongLeftovers(session)).length
  } finally {
    await watch.stop()
  }
  for (const [kind, turns] of Object.entries(moves)) {
    const column = `${movers * stayers} × ${kind}, ${store}`
    const add = (name: string, values: readonly number[]) =>
      bench.results.add(PART, column, {name, unit: 'ms'}, median(values), values)
    add(
      'taken down → all up again',
      turns.map(({all}) => all),
    )
    add(
      'started anew → all up again',
      turns.map(({started}) => started),
    )
    showCost(bench.results, PART, column, turns.at(-1)!.cost)
    bench.results.add(PART, column, {name: 'left behind', unit: '', target: {atMost: 0}}, left)
  }
}

/** All on the first node. */
async function startAll(session: Session, watch: Watch, wishes: Wishes, names: readonly string[]): Promise<Pod[]> {
  const there = expectAll(watch, wishes, n => session.sandboxes[n]!)
  const pods: Pod[] = []
  for (const [n, name] of names.entries()) {
    const place = {name, node: session.nodes[0], sandbox: session.sandboxes[n]!}
    pods.push(await createPod(session, place, wishes.annotations[n]))
  }
  await addPods(session, pods)
  await there
  await sleep(SETTLING)
  return pods
}

interface Move {
  readonly pods: readonly Pod[]
  /** The first so many of them move. */
  readonly movers: number
  readonly to: ClusterNode
  /** Sandboxes. */
  readonly free: readonly string[]
}

async function moveAll(
  session: Session,
  watch: Watch,
  wishes: Wishes,
  {pods, movers, to, free}: Move,
): Promise<Moved & {readonly pods: Pod[]}> {
  const cost = await countCost(session)
  const [moving, staying] = [pods.slice(0, movers), pods.slice(movers)]
  const places = [...free.slice(0, movers), ...staying.map(({sandbox}) => sandbox)]
  const began = performance.now()
  await endPods(session, watch, moving)
  const there = expectAll(watch, wishes, n => places[n]!)
  const again: Pod[] = []
  for (const [n, {name, pairs}] of moving.entries())
    again.push(await createPod(session, {name, node: to, sandbox: free[n]!}, pairs))
  const startedAt = performance.now()
  await addPods(session, again)
  const last = Math.max(...(await there).map(({done}) => done))
  await sleep(SETTLING)
  return {all: last - began, started: last - startedAt, cost: await cost(), pods: [...again, ...staying]}
}

const expectAll = (watch: Watch, {ends}: Wishes, sandboxOf: (pod: number) => string) =>
  Promise.all(ends.map(({pod, interface: ifname}) => watch.expect(sandboxOf(pod), ifname, 'there')))
