/** Part "start": from the process to the last entry in the kernel, and what a restart with the same state does. */
import type {Row} from '../results.ts'
import {median} from '../statistics.ts'
import {cpuMs} from '../usage.ts'
import {columnOf} from './case.ts'
import type {Session} from './session.ts'
import {Tally} from './tally.ts'

const PART = 'start'
const ALL_STATE = {name: 'process to everything in the kernel', unit: 'ms'} as const satisfies Row
const ROWS = {
  cpu: {name: 'processor time until then', unit: 'ms'},
  changes: {name: 'changes written', unit: ''},
  restart: {name: 'restart with the same state to ready', unit: 'ms'},
  restartChanges: {name: 'restart: changes written', unit: '', target: {atMost: 0}},
} as const satisfies Record<string, Row>

/** Nodes and milliseconds. */
const TARGET = {nodes: 1000, ms: 600}
/** Milliseconds without a change after which there are no more to come. */
const QUIET = 250

/** The agent does not run at the end. */
export async function measureStart(session: Session): Promise<void> {
  const {results, repetitions, calm} = session.bench
  const column = columnOf(session.what)
  const starts = []
  for (let turn = 0; turn < repetitions; turn++) {
    starts.push(await calm.measure(() => start(session)))
  }
  const row = session.what.nodes <= TARGET.nodes ? {...ALL_STATE, target: {atMost: TARGET.ms}} : ALL_STATE
  const add = (each: Row, samples: readonly number[]) => results.add(PART, column, each, median(samples), samples)
  add(
    row,
    starts.map(({ms}) => ms),
  )
  add(
    ROWS.cpu,
    starts.map(({cpu}) => cpu),
  )
  add(
    ROWS.changes,
    starts.map(({changes}) => changes),
  )

  const restarts = []
  for (let turn = 0; turn < repetitions; turn++) {
    restarts.push(await calm.measure(() => restart(session)))
  }
  add(
    ROWS.restart,
    restarts.map(({ms}) => ms),
  )
  results.add(PART, column, ROWS.restartChanges, Math.max(...restarts.map(({changes}) => changes)))
}

async function start({site, agent, what}: Session) {
  await agent.forget()
  const tally = await Tally.open(site.path)
  try {
    const startedAt = await agent.start()
    await agent.ready()
    const cpu = await cpuMs(agent.pid)
    await tally.quiet(QUIET)
    if (tally.changes < 2 * (what.nodes - 1)) throw new Error(`the agent has written only ${tally.changes} changes`)
    return {ms: tally.lastAt - startedAt, cpu, changes: tally.changes}
  } finally {
    tally.close()
    await agent.stop()
  }
}

async function restart({site, agent}: Session) {
  const tally = await Tally.open(site.path)
  try {
    const startedAt = await agent.start()
    await agent.ready()
    const ms = performance.now() - startedAt
    await tally.quiet(QUIET)
    return {ms, changes: tally.changes}
  } finally {
    tally.close()
    await agent.stop()
  }
}
