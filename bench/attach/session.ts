/** Everything that the parts of a run need: a node with the agent and definitions, one without, a runtime, sandboxes. */
import {join} from 'node:path'
import type {Api} from '../api.ts'
import type {Bench} from '../bench.ts'
import {type Node, startNode} from '../cni/nodes.ts'
import {buildRuntime, type Runtime} from '../cni/runtime.ts'
import {makeSandboxes} from '../cni/sandboxes.ts'
import {define} from './networks.ts'

export interface Session {
  readonly bench: Bench
  readonly runtime: Runtime
  readonly node: Node
  /** Of the node: a process of its own. */
  readonly api: Api
  /** Without an agent. */
  readonly upstream: Node
  /** Folders of host-local. */
  readonly leases: {readonly ours: string; readonly theirs: string}
  /** Files of namespaces that nobody is in. */
  readonly sandboxes: readonly string[]
}

/** The nodes are gone when the work is done, or has failed. */
export async function inSession(bench: Bench, pods: number, work: (session: Session) => Promise<void>): Promise<void> {
  const {run} = bench
  const runtime = await buildRuntime(run)
  const leases = {ours: join(run.folder, 'leases'), theirs: join(run.folder, 'their-leases')}
  const nodes: Node[] = []
  try {
    const node = await startNode(run, 'ptp', 1, api => define(api, leases.ours))
    nodes.push(node)
    const upstream = await startNode(run)
    nodes.push(upstream)
    const sandboxes = await makeSandboxes(run, pods)
    await work({bench, runtime, node, api: node.api!, upstream, leases, sandboxes})
  } catch (error) {
    const words = await nodes[0]?.agent?.lastWords()
    throw new Error(`${(error as Error).message}; the end of the agent's log:\n${words}`, {cause: error})
  } finally {
    for (const node of nodes) await node.stop()
  }
}
