/** Everything that the parts of a run need: the runtime, nodes, sandboxes, and a pod of each side that stays. */
import type {Bench} from '../bench.ts'
import {type Node, startNode} from './nodes.ts'
import {addPods} from './pods.ts'
import {buildRuntime, type Runtime} from './runtime.ts'
import {makeSandboxes} from './sandboxes.ts'
import {type Side, sidesOf} from './sides.ts'

export interface Session {
  readonly bench: Bench
  readonly runtime: Runtime
  readonly sides: readonly Side[]
  /** Files of namespaces that nobody is in. */
  readonly sandboxes: readonly string[]
}

/** The nodes are gone when the work is done, or has failed. */
export async function inSession(bench: Bench, pods: number, work: (session: Session) => Promise<void>): Promise<void> {
  const {run} = bench
  const runtime = await buildRuntime(run)
  const nodes: Node[] = []
  const start = async (mode?: 'ptp' | 'bridge') => {
    const node = await startNode(run, mode)
    nodes.push(node)
    return node
  }
  try {
    const sides = sidesOf({ptp: await start('ptp'), bridge: await start('bridge'), upstream: await start()}, run.folder)
    const all = await makeSandboxes(run, sides.length + pods)
    // What a node's first pod costs is not what pods cost: bridges, rules and folders are there.
    for (const [i, side] of sides.entries()) await addPods(runtime, side, [all[i]!], 1)
    await work({bench, runtime, sides, sandboxes: all.slice(sides.length)})
  } catch (error) {
    const logs = await Promise.all(nodes.flatMap(({agent}) => agent?.lastWords() ?? []))
    throw new Error(`${(error as Error).message}; the ends of the agents' logs:\n${logs.join('\n\n')}`, {cause: error})
  } finally {
    for (const node of nodes) await node.stop()
  }
}
