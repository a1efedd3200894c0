/** The nodes whose pods are measured: namespaces of the same make, with an agent or without. */
import type {Run} from '../../src/lab/run.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {dumpLinks} from '../../src/netlink/link.ts'
import {Agent} from '../agent.ts'
import {Api} from '../api.ts'
import {nodeName} from '../cluster.ts'
import {makeSite, Site} from '../site.ts'

/** Of 1,022 pods; none of the other nodes' ranges is in it. */
const POD_CIDRS = ['10.200.0.0/22']

export class Node extends Site {
  readonly agent: Agent | undefined
  readonly api: Api | undefined
  #kernel: Promise<Kernel> | undefined

  /** Use {@link startNode}. */
  constructor(run: Run, name: string, agent?: Agent, api?: Api) {
    super(run, name)
    this.agent = agent
    this.api = api
  }

  async countLinks(): Promise<number> {
    this.#kernel ??= Kernel.open({netns: this.path})
    return (await (await this.#kernel).dump(dumpLinks())).length
  }

  async stop(): Promise<void> {
    const kernel = await this.#kernel?.catch(() => undefined)
    kernel?.close()
    await this.agent?.stop()
    await this.api?.stop()
    await this.remove()
  }
}

/**
 * Resolves when its agent serves.
 * @param mode of its pod network; without, it has no agent
 * @param nodes of the cluster, with this one
 * @param prepare what the API server has before the agent starts
 */
export async function startNode(
  run: Run,
  mode?: 'ptp' | 'bridge',
  nodes = 1,
  prepare: (api: Api) => Promise<unknown> = async () => {},
): Promise<Node> {
  const site = await makeSite(run)
  if (!mode) return new Node(run, site.name)
  const api = await Api.start(run, site, {nodes, backend: 'direct'})
  await api.send('PATCH', `/api/v1/nodes/${nodeName(0)}`, {spec: {podCIDR: POD_CIDRS[0], podCIDRs: POD_CIDRS}})
  await prepare(api)
  const agent = new Agent(run, site, api)
  await agent.configure({backend: 'direct', pods: {mode}})
  await agent.start()
  await agent.ready()
  return new Node(run, site.name, agent, api)
}
