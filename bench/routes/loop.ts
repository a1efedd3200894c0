/** Part "loop": how long the agent's main loop keeps others waiting while it starts. */
import {join} from 'node:path'
import type {Row} from '../results.ts'
import {median, percentile} from '../statistics.ts'
import {readTurns, watchTurns} from '../turns.ts'
import {columnOf} from './case.ts'
import type {Session} from './session.ts'
import {Tally} from './tally.ts'

const PART = 'main loop'
const ROWS = {
  p99: {name: "agent's start, delay p99", unit: 'ms', target: {atMost: 10}},
  max: {name: "agent's start, delay max", unit: 'ms'},
} as const satisfies Record<string, Row>
/** Milliseconds without a change after which there are no more to come. */
const QUIET = 250

/** Of an agent that does not run. */
export async function measureLoop(session: Session): Promise<void> {
  const {results, repetitions, calm} = session.bench
  const column = columnOf(session.what)
  const starts: number[][] = []
  for (let turn = 0; turn < repetitions; turn++) starts.push(await calm.measure(() => lateDuringStart(session)))
  const add = (row: Row, samples: readonly number[]) => results.add(PART, column, row, median(samples), samples)
  add(
    ROWS.p99,
    starts.map(late => percentile(late, 0.99)),
  )
  add(
    ROWS.max,
    starts.map(late => Math.max(...late)),
  )
}

async function lateDuringStart({bench: {run}, site, agent}: Session): Promise<number[]> {
  await agent.forget()
  const file = join(run.folder, `${site.name}.turns`)
  const tally = await Tally.open(site.path)
  try {
    await agent.start(watchTurns(file))
    await agent.ready()
    await tally.quiet(QUIET)
    await agent.stop()
  } finally {
    tally.close()
  }
  const end = performance.timeOrigin + tally.lastAt
  return (await readTurns(file)).filter(({at, late}) => at - late <= end).map(({late}) => late)
}
