/**
 * Random lives of pods that are paired, compared with a model: pods start, move, vanish and are edited, agents end, the API
 * server goes away; at rest the kernel, the store and the annotations are what the pods say, and at the end nothing is left.
 * Needs root.
 *
 * NETGRAFT_SEQUENCES: how many, instead of a few; NETGRAFT_SEED: of the first one. Each has the next number as its seed, so
 * that one that fails is told by one number. NETGRAFT_OPS: this one sequence, as a JSON list: to make it shorter.
 */
import test from 'ava'
import {built} from './support/node.ts'
import {type Cluster, startCluster} from './support/pairs.ts'
import {NODES, type Op, sequenceOf} from './support/pairs-ops.ts'
import {World} from './support/pairs-world.ts'

test.before(built)

const {NETGRAFT_SEQUENCES: count = '25', NETGRAFT_SEED: first = '1', NETGRAFT_OPS: given} = process.env
const SEEDS = given ? [0] : Array.from({length: Number(count)}, (_, n) => Number(first) + n)
/** On one cluster. */
const BATCH = 25

for (let n = 0; n < SEEDS.length; n += BATCH) {
  const seeds = SEEDS.slice(n, n + BATCH)
  test.serial(`lives of paired pods, ${seeds[0]} to ${seeds.at(-1)}`, async t => {
    t.timeout(30 * 60_000)
    const cluster = await startCluster(t, {nodes: NODES})
    const times: number[] = []
    for (const seed of seeds) {
      const began = performance.now()
      await live(cluster, seed, given ? JSON.parse(given) : sequenceOf(seed))
      times.push(performance.now() - began)
    }
    for (const node of NODES) await cluster.at(node).runtime.clean()
    await cluster.clean()
    const [least = 0, most = 0] = [Math.min(...times), Math.max(...times)].map(Math.round)
    t.log(`${times.length} sequences, ${least} to ${most} ms each`)
    t.is(times.length, seeds.length)
  })
}

async function live(cluster: Cluster, seed: number, ops: readonly Op[]): Promise<void> {
  const world = new World(cluster)
  const done: string[] = []
  try {
    for (const op of ops) {
      done.push(JSON.stringify(op))
      await world.happens(op)
    }
    done.push('the end')
    await world.end()
  } catch (error) {
    throw new Error(`seed ${seed}:\n${done.join('\n')}\n${(error as Error).message}\n${logs(cluster)}`)
  }
}

/** What the agents have said of trouble last. */
const logs = (cluster: Cluster): string =>
  NODES.flatMap(node => {
    const {agent} = cluster.at(node).node
    const {exitCode = null, signalCode = null} = agent.process ?? {}
    const ended = exitCode ?? signalCode
    const lines = agent.logs
      .filter(({level}) => !['info', 'debug'].includes(level))
      .slice(-15)
      .map(({time, msg, pair, pod, resource, reason, detail, err}) =>
        [time, msg, pair ?? pod ?? resource, reason ?? detail ?? (err as Error | undefined)?.message].filter(Boolean),
      )
    return [...lines.map(words => `${node}: ${words.join(' ')}`), ...(ended ? [`${node}: ended: ${agent.stderr}`] : [])]
  }).join('\n')
