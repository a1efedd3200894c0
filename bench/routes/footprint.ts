/** Part "footprint": memory and processor time of an agent for which nothing happens. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Backend} from '../cluster.ts'
import type {Results, Row} from '../results.ts'
import {cpuMs, memory} from '../usage.ts'
import {columnOf} from './case.ts'
import type {Session} from './session.ts'

const PART = 'footprint'
const RSS = {name: 'RSS', unit: 'MB'} as const satisfies Row
const ROWS = {
  pss: {name: 'PSS', unit: 'MB'},
  peak: {name: 'RSS at most, so far', unit: 'MB'},
  idle: {name: 'idle processor time', unit: '% of a core', target: {atMost: 0.2}},
  slope: {name: 'RSS per 1,000 nodes more', unit: 'MB', target: {atMost: 8}},
} as const satisfies Record<string, Row>

/** Nodes and MB. */
const TARGET = {nodes: 1000, rss: 110}
/** Milliseconds. */
const IDLE = 10_000

/** Of an agent that has nothing to do any more. Resolves with its RSS. */
export async function measureFootprint({bench: {results}, what, agent}: Session): Promise<number> {
  const column = columnOf(what)
  const before = await cpuMs(agent.pid)
  await sleep(IDLE)
  const idle = ((await cpuMs(agent.pid)) - before) / IDLE
  const {rss, pss, peak} = await memory(agent.pid)
  results.add(PART, column, what.nodes <= TARGET.nodes ? {...RSS, target: {atMost: TARGET.rss}} : RSS, rss)
  results.add(PART, column, ROWS.pss, pss)
  results.add(PART, column, ROWS.peak, peak)
  results.add(PART, column, ROWS.idle, idle * 100)
  return rss
}

/** `measured`: RSS by nodes. */
export function addSlope(backend: Backend, measured: ReadonlyMap<number, number>, results: Results): void {
  const sizes = [...measured.keys()].filter(nodes => nodes >= 1000)
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)]
  if (!(most > least)) return
  const slope = ((measured.get(most)! - measured.get(least)!) / (most - least)) * 1000
  results.add(PART, columnOf({backend, nodes: most}), ROWS.slope, slope)
}
