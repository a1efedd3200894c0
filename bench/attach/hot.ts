/** Part "hot": from an edit of a running pod's annotation to the interface in its namespace, up and addressed, or gone. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Row, Target} from '../results.ts'
import {median, percentile} from '../statistics.ts'
import {networkName} from './networks.ts'
import {edit, type PodObject} from './objects.ts'
import {endPods, type Pod, startPods} from './pods.ts'
import type {Session} from './session.ts'
import {type Seen, Watch} from './watch.ts'

const NETWORK = networkName(0)
const IFNAME = 'net1'
const OPS = ['attach', 'detach'] as const
type Op = (typeof OPS)[number]
/** Milliseconds, of one pod. */
const TARGET = {p50: 8, p99: 25}
/** Milliseconds between an edit and the next: until the agent has told of it, and a bit that differs. */
const REST = {one: [100, 60], many: [600, 100]} as const
/** Edits that are not counted. */
const WARM = 5
/** Of all pods at once, for one round. */
const MANY_EDITS = 10
const STATUS = 'k8s.v1.cni.cncf.io/network-status'

/** Milliseconds since the edit was sent. */
interface Latency extends Seen {
  readonly answered: number
}

export async function measureHot(session: Session, pods: number, edits: number): Promise<void> {
  const {bench, sandboxes} = session
  const used = sandboxes.slice(0, pods)
  const {pods: all} = await startPods(session, used, '')
  const watch = await Watch.start(bench.run, used)
  try {
    const some = all.slice(0, 1)
    await rounds(session, watch, {part: 'hot, 1 pod', pods: some, edits, rest: REST.one, targets: true})
    const many = {part: `hot, ${pods} pods at once`, pods: all, edits: Math.min(edits, MANY_EDITS), rest: REST.many}
    await rounds(session, watch, many)
    await measureStages(session, watch, some[0]!, edits)
  } finally {
    await watch.stop()
  }
  await endPods(session, all, {networks: '', links: 1})
}

interface Plan {
  readonly part: string
  readonly pods: readonly Pod[]
  /** In each round. */
  readonly edits: number
  readonly rest: readonly [number, number]
  readonly targets?: boolean
}

async function rounds(session: Session, watch: Watch, {part, pods, edits, rest, targets = false}: Plan): Promise<void> {
  const {results, calm, repetitions} = session.bench
  const done: Record<Op, number[]> = {attach: [], detach: []}
  const last: Record<Op, number[]> = {attach: [], detach: []}
  await play(session, watch, pods, {edits: Math.min(edits, WARM), rest})
  for (let round = 0; round < repetitions; round++) {
    const latencies = await calm.measure(() => play(session, watch, pods, {edits, rest}))
    for (const op of OPS) {
      done[op].push(...latencies[op].flat().map(each => each.done))
      last[op].push(...latencies[op].map(all => Math.max(...all.map(each => each.done))))
    }
  }
  for (const op of OPS) {
    const add = (name: string, value: number, atMost?: number, samples?: readonly number[]) => {
      const target: Target | undefined = targets && atMost !== undefined ? {atMost} : undefined
      const row: Row = {name, unit: name.includes('/') ? '×' : 'ms', ...(target && {target})}
      results.add(part, op, row, value, samples)
    }
    add('p50', percentile(done[op], 0.5), TARGET.p50, done[op])
    add('p95', percentile(done[op], 0.95))
    add('p99', percentile(done[op], 0.99), TARGET.p99)
    add('max', Math.max(...done[op]))
    if (pods.length > 1) add('until the last of them, p50', percentile(last[op], 0.5))
    if (op === 'detach') add('p50 / attach', percentile(done.detach, 0.5) / percentile(done.attach, 0.5), 1)
  }
}

/** All at once, so often. */
async function play(
  session: Session,
  watch: Watch,
  pods: readonly Pod[],
  {edits, rest: [least, more]}: Pick<Plan, 'edits' | 'rest'>,
): Promise<Record<Op, Latency[][]>> {
  const latencies: Record<Op, Latency[][]> = {attach: [], detach: []}
  for (let i = 0; i < edits; i++)
    for (const op of OPS) {
      latencies[op].push(await Promise.all(pods.map(pod => once(session, watch, pod, op))))
      await sleep(least + Math.random() * more)
    }
  return latencies
}

async function once({api}: Session, watch: Watch, {sandbox, name}: Pod, op: Op): Promise<Latency> {
  const seen = watch.expect(sandbox, IFNAME, op === 'attach' ? 'there' : 'gone')
  const sentAt = performance.now()
  await edit(api, name, op === 'attach' ? NETWORK : '')
  const answeredAt = performance.now()
  const {first, done} = await seen
  return {answered: answeredAt - sentAt, first: first - sentAt, done: done - sentAt}
}

/** In a run of its own: another watcher costs the API server, too. */
async function measureStages(session: Session, watch: Watch, pod: Pod, edits: number): Promise<void> {
  const {api, bench} = session
  const heard: {at: number; object: PodObject}[] = []
  const selector = encodeURIComponent('spec.nodeName=node-0')
  const end = await api.watch(`/api/v1/pods?watch=1&fieldSelector=${selector}`, line => {
    const at = performance.now()
    const {type, object} = JSON.parse(line) as {type: string; object: PodObject}
    if (type === 'MODIFIED') heard.push({at, object})
  })
  const stages: Record<Op, Record<string, number[]>> = {attach: {}, detach: {}}
  try {
    for (let i = 0; i < edits; i++)
      for (const op of OPS) {
        heard.length = 0
        const sentAt = performance.now()
        const {answered, first, done} = await once(session, watch, pod, op)
        await sleep(REST.one[0] + Math.random() * REST.one[1])
        const told = heard.find(({object: {metadata}}) => {
          const status = JSON.parse(metadata.annotations?.[STATUS] ?? '[]') as {interface: string}[]
          return metadata.name === pod.name && status.some(each => each.interface === IFNAME) === (op === 'attach')
        })
        const all = {
          'PATCH answered': answered,
          'another watcher knows': heard[0] && heard[0].at - sentAt,
          ...(op === 'attach' && {'first message of the kernel': first}),
          [op === 'attach' ? 'up and addressed' : 'gone']: done,
          'network-status says so': told && told.at - sentAt,
        }
        for (const [stage, ms] of Object.entries(all)) if (ms !== undefined) (stages[op][stage] ??= []).push(ms)
      }
  } finally {
    end()
  }
  for (const op of OPS)
    for (const [name, samples] of Object.entries(stages[op]))
      bench.results.add('hot, where the time goes', op, {name: `${name}, p50`, unit: 'ms'}, median(samples))
}
