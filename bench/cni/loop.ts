/** Part "loop": how long the agent's main loop keeps others waiting while many pods are asked for. */
import {join} from 'node:path'
import type {Row} from '../results.ts'
import {percentile} from '../statistics.ts'
import {readTurns, watchTurns} from '../turns.ts'
import {addPods, deletePods} from './pods.ts'
import {wholeTime} from './runtime.ts'
import type {Session} from './session.ts'

const PART = 'main loop'
const [MOST, AT_ONCE] = [200, 32]
const ROWS = {
  p99: {name: 'burst of ADDs, delay p99', unit: 'ms', target: {atMost: 10}},
  max: {name: 'burst of ADDs, delay max', unit: 'ms'},
} as const satisfies Record<string, Row>

/** The agents do not run at the end. */
export async function measureLoop(session: Session): Promise<void> {
  const {bench, runtime, sides, sandboxes} = session
  const used = sandboxes.slice(0, MOST)
  for (const agent of new Set(sides.flatMap(side => side.agent ?? []))) {
    const file = join(bench.run.folder, 'turns')
    await agent.stop()
    await agent.start(watchTurns(file))
    await agent.ready()
    const bursts: {name: string; from: number; to: number}[] = []
    for (const side of sides.filter(each => each.agent === agent))
      for (let turn = 0; turn < bench.repetitions; turn++) {
        const burst = await bench.calm.measure(async () => {
          const {calls, pods} = await addPods(runtime, side, used, AT_ONCE)
          const to = performance.timeOrigin + performance.now()
          await deletePods(runtime, side, pods, AT_ONCE)
          return {name: side.name, from: to - wholeTime(calls), to}
        })
        bursts.push(burst)
      }
    await agent.stop()
    const turns = await readTurns(file)
    for (const name of new Set(bursts.map(burst => burst.name))) {
      const own = bursts.filter(burst => burst.name === name)
      const late = turns
        .filter(({at, late}) => own.some(({from, to}) => at >= from && at - late <= to))
        .map(({late}) => late)
      bench.results.add(PART, name, ROWS.p99, percentile(late, 0.99))
      bench.results.add(PART, name, ROWS.max, Math.max(...late))
    }
  }
}
