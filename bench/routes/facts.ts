/** Part "facts": from facts in memory to a kernel that has everything, against what else could write the same. */
import {join} from 'node:path'
import {NODE_FLAGS} from '../../src/lab/node-flags.ts'
import type {Bench} from '../bench.ts'
import {bundle} from '../bundle.ts'
import type {Row} from '../results.ts'
import {makeSite, type Site} from '../site.ts'
import {median, percentile} from '../statistics.ts'
import {type Case, columnOf} from './case.ts'
import type {PassMeasure} from './pass.ts'
import {buildFloor, runBatches} from './rivals.ts'
import {batchesFor, stateText} from './state.ts'

const PART = 'facts to kernel'
const ROWS = {
  ours: {name: 'netgraft, acknowledged', unit: 'ms'},
  settled: {name: 'netgraft, and in its mirror', unit: 'ms'},
  floor: {name: 'floor: ready messages from C', unit: 'ms'},
  batch: {name: 'ip -batch and bridge -batch', unit: 'ms'},
  toFloor: {name: 'netgraft / floor', unit: '×', target: {atMost: 1.5}},
  toBatch: {name: 'netgraft / ip -batch', unit: '×', target: {atMost: 0.5}},
} as const satisfies Record<string, Row>

const LOOP_PART = 'main loop'
const LOOP_ROWS = {
  p99: {name: 'pass, delay p99', unit: 'ms', target: {atMost: 10}},
  max: {name: 'pass, delay max', unit: 'ms'},
} as const satisfies Record<string, Row>

/** Every pass is in a process of its own, everything in a namespace of its own, the rivals in turn. */
export async function measureFacts(
  bench: Bench,
  what: Case,
  parts: {readonly facts: boolean; readonly loop: boolean},
): Promise<void> {
  const {run, results, repetitions, calm} = bench
  const floor = await buildFloor(run)
  const program = await bundle(join(import.meta.dirname, 'pass-process.ts'), run.folder)
  const file = join(run.folder, 'messages')
  const passes: PassMeasure[] = []
  const times = {floor: [] as number[], batch: [] as number[]}
  for (let turn = 0; turn < repetitions; turn++) {
    const {ours, pass} = await calm.measure(async () => {
      const site = await makeSite(run)
      const args = [...NODE_FLAGS, program, `${what.nodes}`, what.backend, site.path, file]
      return {ours: site, pass: JSON.parse(await run.exec(process.execPath, args)) as PassMeasure}
    })
    passes.push(pass)
    if (parts.facts) {
      const state = turn === 0 ? await stateText(ours) : undefined
      const batches = await batchesFor(ours)
      times.floor.push(await inFresh(bench, state, 'the floor', site => floor(site, file, turn)))
      times.batch.push(await inFresh(bench, state, 'ip -batch', site => runBatches(run, site, batches)))
    }
    await ours.remove()
  }

  const column = columnOf(what)
  const add = (row: Row, samples: readonly number[]) => results.add(PART, column, row, median(samples), samples)
  const acknowledged = passes.map(({acknowledgedMs}) => acknowledgedMs)
  if (parts.facts) {
    add(ROWS.ours, acknowledged)
    add(
      ROWS.settled,
      passes.map(({settledMs}) => settledMs),
    )
    add(ROWS.floor, times.floor)
    add(ROWS.batch, times.batch)
    results.add(PART, column, ROWS.toFloor, median(acknowledged) / median(times.floor))
    results.add(PART, column, ROWS.toBatch, median(acknowledged) / median(times.batch))
  }
  if (parts.loop) {
    results.add(LOOP_PART, column, LOOP_ROWS.p99, median(passes.map(({late}) => percentile(late, 0.99))))
    results.add(LOOP_PART, column, LOOP_ROWS.max, median(passes.map(({late}) => Math.max(...late))))
  }
}

/** `state`: what must be there afterwards; undefined: not looked at. Resolves with the milliseconds that the work tells. */
function inFresh(
  {run, calm}: Bench,
  state: string | undefined,
  who: string,
  work: (site: Site) => Promise<number>,
): Promise<number> {
  return calm.measure(async () => {
    const site = await makeSite(run)
    const ms = await work(site)
    if (state !== undefined && (await stateText(site)) !== state)
      throw new Error(`${who} does not end in the state that netgraft does`)
    await site.remove()
    return ms
  })
}
