/** Part "scale": whether pods wait longer, and cost more, where the cluster is large: what a pod changes is none of its routes. */
import {percentile} from '../statistics.ts'
import {processorMs} from '../usage.ts'
import {startNode} from './nodes.ts'
import {addPods, deletePods} from './pods.ts'
import type {Session} from './session.ts'
import {defaultSide, type Side} from './sides.ts'

const PART = 'nodes of the cluster'
const NODES = 5000
const MOST = 100

interface Turn {
  readonly add: readonly number[]
  readonly del: readonly number[]
  /** Milliseconds of the agent on a processor for one ADD and one DEL. */
  readonly agent: number
}

/** The same pod network of an agent that has no peers, and of one that has thousands. */
export async function measureScale({bench, runtime, sides, sandboxes}: Session): Promise<void> {
  const {run, results, calm, repetitions} = bench
  const used = sandboxes.slice(0, MOST)
  const turn = async (side: Side): Promise<Turn> => {
    const before = await processorMs(side.agent!.pid)
    const {calls, pods} = await addPods(runtime, side, used, 1)
    const deleted = await deletePods(runtime, side, pods, 1)
    const agent = ((await processorMs(side.agent!.pid)) - before) / used.length
    return {add: calls.map(({ms}) => ms), del: deleted.calls.map(({ms}) => ms), agent}
  }
  const few = sides.find(({name}) => name === 'default ptp')!
  const node = await startNode(run, 'ptp', NODES)
  const many = defaultSide(`${NODES.toLocaleString('en-US')}`, node)
  try {
    await turn(many)
    const turns: {few: Turn; many: Turn}[] = []
    for (let round = 0; round < repetitions; round++)
      turns.push(await calm.measure(async () => ({few: await turn(few), many: await turn(many)})))
    for (const [column, which] of [
      ['1', 'few'],
      [many.name, 'many'],
    ] as const) {
      const own = turns.map(each => each[which])
      const add = (name: string, samples: readonly number[], share: number) =>
        results.add(PART, column, {name, unit: 'ms'}, percentile(samples, share), samples)
      for (const verb of ['add', 'del'] as const) {
        const samples = own.flatMap(each => each[verb])
        add(`${verb.toUpperCase()} p50`, samples, 0.5)
        add(`${verb.toUpperCase()} p95`, samples, 0.95)
      }
      const agents = own.map(({agent}) => agent)
      add("the agent's processor time per ADD and DEL", agents, 0.5)
    }
  } finally {
    await node.stop()
  }
}
