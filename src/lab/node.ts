/** A virtual node: its namespace, its agent, and what its kernel has. */
import type {Subscription} from 'rxjs'
import {Kernel} from '../netlink/kernel.ts'
import {AgentProcess, type AgentSettings, type AgentState} from './agent-process.ts'
import type {NodePlan} from './plan.ts'
import {type PeerRoutes, watchRoutes} from './route-watch.ts'
import type {Run} from './run.ts'
import {netnsPath} from './wiring.ts'

export interface NodeReports {
  readonly agent: (node: LabNode, state: AgentState) => void
  readonly routes: (node: LabNode, change: {readonly added: PeerRoutes; readonly gone: PeerRoutes}) => void
  readonly broken: (node: LabNode, error: Error) => void
}

export class LabNode {
  readonly name: string
  readonly plan: NodePlan
  /** The path of its namespace. */
  readonly netns: string
  /** Its kernel, as the agent sees it. Closed by the lab. */
  readonly kernel: Kernel
  readonly agent: AgentProcess
  /** The agent's routes to other nodes that the kernel has. */
  routes: PeerRoutes = new Map()
  readonly #watching: Subscription

  static async open(
    run: Run,
    plan: NodePlan,
    settings: Omit<AgentSettings, 'onChange'>,
    reports: NodeReports,
  ): Promise<LabNode> {
    return new LabNode(run, plan, await Kernel.open({netns: netnsPath(plan.netns)}), settings, reports)
  }

  private constructor(
    run: Run,
    plan: NodePlan,
    kernel: Kernel,
    settings: Omit<AgentSettings, 'onChange'>,
    reports: NodeReports,
  ) {
    this.name = plan.name
    this.plan = plan
    this.netns = netnsPath(plan.netns)
    this.kernel = kernel
    this.agent = new AgentProcess(run, plan, {...settings, onChange: state => reports.agent(this, state)})
    this.#watching = watchRoutes(kernel, this.netns).subscribe({
      next: routes => {
        const added = without(routes, this.routes)
        const gone = without(this.routes, routes)
        this.routes = routes
        if (added.size + gone.size > 0) reports.routes(this, {added, gone})
      },
      error: error => reports.broken(this, error),
    })
  }

  async close(): Promise<void> {
    this.#watching.unsubscribe()
    await this.agent.stop()
    this.kernel.close()
  }
}

const without = (routes: PeerRoutes, others: PeerRoutes): PeerRoutes =>
  new Map([...routes].filter(([text]) => !others.has(text)))
