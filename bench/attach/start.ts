/** Part "start": a pod that comes up with further networks, against the same networks by plugins that are called one by one. */
import {randomBytes} from 'node:crypto'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {jobOf, linksGone, refuseFailure} from '../cni/pods.ts'
import {playRounds} from '../cni/rounds.ts'
import type {Call} from '../cni/runtime.ts'
import {UPSTREAM} from '../cni/sides.ts'
import type {Results, Row} from '../results.ts'
import {percentile} from '../statistics.ts'
import {firstConf, furtherConf, networkName} from './networks.ts'
import {endPods, startPods} from './pods.ts'
import type {Session} from './session.ts'

/** Further networks of a pod. */
const FURTHER = [0, 2, 8] as const
/** Pods of a turn. */
const MOST = 40
/** Milliseconds; of the direct calls' sum. With so many further networks. */
const TARGET = {further: 2, p50: 8, ratio: 0.4}
/** Milliseconds in which an agent tells of what it has done, and forgets the pods that have gone. */
const SETTLING = 300
const SHARES = {p50: 0.5, p95: 0.95} as const

const COLUMNS = ['netgraft', 'direct calls'] as const
const RIVAL = 'direct calls'

interface Side {
  readonly name: string
  readonly column: (typeof COLUMNS)[number]
  readonly further: number
}

/** Milliseconds, of each pod. */
interface Turn {
  readonly ADD: readonly number[]
  readonly DEL: readonly number[]
  readonly gone: number
}

export async function measureStart(session: Session): Promise<void> {
  const {bench, sandboxes} = session
  const sides = FURTHER.flatMap(further =>
    COLUMNS.map((column): Side => ({name: `${column} ${further}`, column, further})),
  )
  const used = sandboxes.slice(0, MOST)
  const turn = ({column, further}: Side, some: readonly string[]) =>
    column === RIVAL ? directly(session, further, some) : byAgent(session, further, some)
  // What a node's first pod costs is not what pods cost: bridges, rules and folders are there.
  for (const side of sides) await turn(side, used.slice(0, 1))
  const turns = await playRounds({bench, sides}, side => turn(side, used))
  for (const further of FURTHER) {
    const columns = COLUMNS.map(column => ({column, turns: turns.get(`${column} ${further}`)!}))
    show(bench.results, further, columns)
  }
}

function show(
  results: Results,
  further: number,
  columns: readonly {readonly column: Side['column']; readonly turns: readonly Turn[]}[],
): void {
  const part = `pod start, ${further} further networks`
  for (const verb of ['ADD', 'DEL'] as const)
    for (const [share, value] of Object.entries(SHARES)) {
      const isMeasure = further === TARGET.further && verb === 'ADD' && share === 'p50'
      const figures = columns.map(({column, turns}) => {
        const samples = turns.flatMap(each => each[verb])
        return {column, figure: percentile(samples, value), samples: share === 'p50' ? samples : undefined}
      })
      const rival = figures.find(({column}) => column === RIVAL)!.figure
      for (const {column, figure, samples} of figures) {
        const target = (atMost: number) => (isMeasure && column === 'netgraft' ? {target: {atMost}} : {})
        const row: Row = {name: `${verb} ${share}`, unit: 'ms'}
        results.add(part, column, {...row, ...target(TARGET.p50)}, figure, samples)
        if (column === RIVAL) continue
        const ratio: Row = {name: `${row.name} / ${RIVAL}`, unit: '×'}
        results.add(part, column, {...ratio, ...target(TARGET.ratio)}, figure / rival)
      }
    }
  for (const {column, turns} of columns) {
    const samples = turns.map(({gone}) => gone)
    results.add(part, column, {name: 'a pod until its links have gone', unit: 'ms'}, percentile(samples, 0.5), samples)
  }
}

async function byAgent(session: Session, further: number, sandboxes: readonly string[]): Promise<Turn> {
  const networks = Array.from({length: further}, (_, n) => networkName(n)).join(',')
  const {pods, calls} = await startPods(session, sandboxes, networks)
  await sleep(SETTLING)
  const ended = await endPods(session, pods, {networks, links: 1 + further})
  await sleep(SETTLING)
  return {ADD: times(calls), DEL: times(ended.calls), gone: ended.gone / pods.length}
}

/** DELs in the opposite order, as runtimes call them. The sum of a pod's calls is its time. */
async function directly(session: Session, further: number, sandboxes: readonly string[]): Promise<Turn> {
  const {runtime, upstream, leases} = session
  const {theirs} = leases
  const confs = [firstConf(theirs), ...Array.from({length: further}, (_, n) => furtherConf(n, theirs))]
  const bridge = {program: join(UPSTREAM, 'bridge'), path: UPSTREAM}
  const links = sandboxes.flatMap(sandbox => {
    const containerId = randomBytes(32).toString('hex')
    return confs.map((conf, n) => ({called: {containerId, sandbox, ifname: n === 0 ? 'eth0' : `net${n}`}, conf}))
  })
  const added = await runtime(
    upstream,
    links.map(({called, conf}) => jobOf(bridge, 'ADD', called, conf)),
    1,
  )
  added.forEach(refuseFailure)
  const before = await upstream.countLinks()
  const deleting = links
    .map(({called, conf}, i) => jobOf(bridge, 'DEL', called, {...conf, prevResult: JSON.parse(added[i]!.output)}))
    .reverse()
  const began = performance.now()
  const deleted = await runtime(upstream, deleting, 1)
  deleted.forEach(refuseFailure)
  await linksGone(upstream, before - links.length)
  const gone = performance.now() - began
  return {ADD: sums(added, confs.length), DEL: sums(deleted, confs.length), gone: gone / sandboxes.length}
}

const times = (calls: readonly Call[]): number[] => calls.map(({ms}) => ms)

/** Of so many that follow each other. */
const sums = (calls: readonly Call[], each: number): number[] =>
  Array.from({length: calls.length / each}, (_, i) =>
    calls.slice(i * each, (i + 1) * each).reduce((sum, {ms}) => sum + ms, 0),
  )
