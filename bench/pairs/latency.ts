/** Part "latency": from the moment at which nothing else is missing to the pair's link, up and addressed in both pods. */
import {setTimeout as sleep} from 'node:timers/promises'
import {Watch} from '../attach/watch.ts'
import type {Row} from '../results.ts'
import {percentile} from '../statistics.ts'
import {addPods, createPod, edit, endPods, type Pod} from './pods.ts'
import type {Session} from './session.ts'
import {wishesOf} from './wishes.ts'

const KINDS = ['same node', 'two nodes'] as const
type Kind = (typeof KINDS)[number]
/** Milliseconds, p50. */
const TARGET = {'same node': 10, 'two nodes': 40} as const
/** Milliseconds between a change and the next: until the agents have told of it, and a bit that differs. */
const REST = [150, 60] as const
/** Milliseconds in which an agent hears of a pod that is to start. */
const HEARING = 250
/** Edits that are not counted. */
const WARM = 3
/** Of so many edits. */
const STARTS = 5

const [NAMES, PAIRED] = [['x', 'y'], wishesOf(['x', 'y'], [[0, 1]])]
const IFNAME = PAIRED.ends[0]!.interface

interface Case {
  readonly session: Session
  readonly watch: Watch
  readonly pods: [Pod, Pod]
}

interface Latencies {
  /** Milliseconds. */
  readonly edited: number[]
  readonly removed: number[]
  readonly started: number[]
}

export async function measureLatency(session: Session, edits: number): Promise<void> {
  const {bench, store} = session
  for (const kind of KINDS) {
    const all: Latencies = {edited: [], removed: [], started: []}
    await withPods(session, kind, async the => {
      for (let i = 0; i < WARM; i++) await editOnce(the)
      for (let round = 0; round < bench.repetitions; round++) {
        const of = await bench.calm.measure(() => play(the, edits))
        for (const what of ['edited', 'removed', 'started'] as const) all[what].push(...of[what])
      }
    })
    const column = `${kind}, ${store}`
    const add = (name: string, values: readonly number[], share: number, target?: number) => {
      const row: Row = {name, unit: 'ms', ...(target !== undefined && {target: {atMost: target}})}
      bench.results.add('latency', column, row, percentile(values, share), share === 0.5 ? values : undefined)
    }
    for (const [name, values, target] of [
      ['both annotations PATCHed → up', all.edited, TARGET[kind]],
      ["the second pod's eth0 up → up", all.started, TARGET[kind]],
      ['both annotations PATCHed → gone', all.removed, undefined],
    ] as const) {
      add(`${name}, p50`, values, 0.5, target)
      add(`${name}, p99`, values, 0.99)
    }
  }
}

async function withPods(session: Session, kind: Kind, work: (the: Case) => Promise<void>): Promise<void> {
  const {bench, sandboxes, nodes} = session
  const places = [nodes[0], kind === 'same node' ? nodes[0] : nodes[1]]
  const watch = await Watch.start(bench.run, sandboxes.slice(0, 2))
  const pods = await Promise.all(
    NAMES.map((name, i) => createPod(session, {name, node: places[i]!, sandbox: sandboxes[i]!})),
  )
  try {
    await addPods(session, pods)
    const the: Case = {session, watch, pods: pods as [Pod, Pod]}
    await work(the)
    await endPods(session, watch, the.pods)
  } finally {
    await watch.stop()
  }
}

async function play(the: Case, edits: number): Promise<Latencies> {
  const latencies: Latencies = {edited: [], removed: [], started: []}
  for (let i = 0; i < edits; i++) {
    const {edited, removed} = await editOnce(the)
    latencies.edited.push(edited)
    latencies.removed.push(removed)
    if (i % STARTS === 0) latencies.started.push(await startOnce(the))
  }
  return latencies
}

/** Both pods run, and say at once that they are paired; then that they are not. */
async function editOnce({session, watch, pods}: Case): Promise<{readonly edited: number; readonly removed: number}> {
  const change = async (want: 'there' | 'gone') => {
    const seen = pods.map(({sandbox}) => watch.expect(sandbox, IFNAME, want))
    const sentAt = performance.now()
    await Promise.all(pods.map((pod, i) => edit(session, pod, want === 'there' ? PAIRED.annotations[i]! : '')))
    const last = Math.max(...(await Promise.all(seen)).map(({done}) => done))
    await rest()
    return last - sentAt
  }
  return {edited: await change('there'), removed: await change('gone')}
}

/** The second pod starts when the first one waits for it; at the end both say nothing again. */
async function startOnce(the: Case): Promise<number> {
  const {session, watch, pods} = the
  const [first, second] = pods
  await endPods(session, watch, [second])
  await edit(session, first, PAIRED.annotations[0]!)
  const {name, node, sandbox} = second
  const again = await createPod(session, {name, node, sandbox}, PAIRED.annotations[1]!)
  the.pods[1] = again
  await sleep(HEARING)
  const own = watch.expect(sandbox, 'eth0', 'there')
  const seen = pods.map(pod => watch.expect(pod.sandbox, IFNAME, 'there'))
  await addPods(session, [again])
  const from = (await own).done
  const last = Math.max(...(await Promise.all(seen)).map(({done}) => done))
  await rest()
  const gone = pods.map(pod => watch.expect(pod.sandbox, IFNAME, 'gone'))
  await Promise.all(pods.map(pod => edit(session, pod, '')))
  await Promise.all(gone)
  await rest()
  return last - from
}

const rest = () => sleep(REST[0] + Math.random() * REST[1])
