/** What `--once` finds out: whether every agent gets ready, has its routes, every pod reaches every other one, and the examples come true. */
import type {NodeName} from '../model/facts.ts'
import {plural} from '../model/text.ts'
import {describeState} from './agent-process.ts'
import {cameTrue, type Example} from './example.ts'
import type {Lab} from './lab.ts'
import type {LabNode} from './node.ts'
import type {Ping, PingResult} from './pings.ts'
import {describeWays} from './ways.ts'

export interface Verdict {
  /** One line, without its end. */
  readonly summary: string
  /** One sentence each; none: all is well. */
  readonly failures: readonly string[]
  /** The nodes whose logs may tell why. */
  readonly suspects: readonly string[]
}

/** Milliseconds. */
const PATIENCE = {ready: 30_000, readyPerNode: 1_000, pings: 20_000, routes: 5_000} as const
const FAILURES_TOLD = 10

/** Shows an example. */
export type Shows = () => Promise<Example>

/**
 * Of the pings, and of the examples, which begin when all of them are answered. Rejects only when the lab's signal aborts.
 */
export async function check(lab: Lab, shows: readonly Shows[] = []): Promise<Verdict> {
  const verdict = await checkPods(lab)
  if (verdict.failures.length > 0) return verdict
  const examples: Example[] = []
  for (const show of shows) examples.push(await show())
  const failed = examples.filter(example => !cameTrue(example))
  return {
    summary: [verdict.summary, ...examples.map(describeExample)].join('; '),
    failures: failed.map(({name, steps}) => `the example of ${name}: ${steps.at(-1)?.text}`),
    suspects: [...new Set(failed.flatMap(({nodes}) => nodes))],
  }
}

/** "attachments: 13 of 13 steps" */
function describeExample({name, steps}: Example): string {
  const seen = steps.filter(({ms}) => ms !== undefined).length
  return `${name}: ${seen} of ${plural(steps.length, 'step')}`
}

async function checkPods(lab: Lab): Promise<Verdict> {
  const failures: string[] = []
  const suspects = new Set<string>()
  await lab.ready(PATIENCE.ready + lab.nodes.length * PATIENCE.readyPerNode).catch((error: Error) => {
    failures.push(error.message)
  })
  for (const node of lab.nodes) if (node.agent.state.is !== 'ready') suspects.add(node.name)
  const silent = failures.length > 0 ? lab.pairs : await pingUntilAnswered(lab)
  if (failures.length === 0) {
    for (const {from, to, address} of silent.slice(0, FAILURES_TOLD)) {
      failures.push(`no ping from ${from.name} is answered by ${to.name} (${address})`)
      suspects.add(from.node).add(to.node)
    }
    if (silent.length > FAILURES_TOLD)
      failures.push(`and ${silent.length - FAILURES_TOLD} more pings without an answer`)
  }
  await routesSeen(lab)
  for (const {name, agent, routes} of lab.nodes) {
    const expected = lab.expectedRoutes(name)
    if (routes.size !== expected) failures.push(`${name} has ${routes.size} of ${expected} routes`)
    if (agent.state.is === 'died') failures.push(`the agent of ${name} ${describeState(agent.state)}`)
    if (routes.size !== expected || agent.state.is === 'died') suspects.add(name)
  }
  for (const {name} of withoutTunnel(lab)) {
    failures.push(`${name} has published no tunnel`)
    suspects.add(name)
  }
  return {summary: summarise(lab, silent), failures: [...new Set(failures)], suspects: [...suspects]}
}

/** What the kernels tell of their routes, and the API server of the nodes, may come later than the agents' word. */
async function routesSeen(lab: Lab): Promise<void> {
  const deadline = performance.now() + PATIENCE.routes
  const missing = () =>
    withoutTunnel(lab).length > 0 || lab.nodes.some(({name, routes}) => routes.size !== lab.expectedRoutes(name))
  while (missing() && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
}

/** Ready, and yet no route from beyond their subnet is expected: nobody would miss them. */
function withoutTunnel({backend, nodes, nodeObjects}: Lab): readonly LabNode[] {
  if (backend === 'direct') return []
  const isOut = (name: string) => (nodeObjects?.get(name as NodeName)?.vteps.length ?? 0) > 0
  return nodes.filter(({name, agent}) => agent.state.is === 'ready' && !isOut(name))
}

/** Those that never were, although asked again and again. */
async function pingUntilAnswered(lab: Lab): Promise<readonly Ping[]> {
  const deadline = performance.now() + PATIENCE.pings
  let silent: readonly Ping[] = lab.pairs
  for (let round = 0; silent.length > 0 && (round === 0 || performance.now() < deadline); round++) {
    silent = (await lab.pingAll(silent)).filter((result: PingResult) => result.ms === undefined)
  }
  return silent
}

function summarise(lab: Lab, silent: readonly Ping[]): string {
  const {pairs, plan, nodes, pods, readyAfter} = lab
  const count = (pings: readonly Ping[], family: number) => pings.filter(ping => ping.family === family).length
  const perFamily = plan.families.map(family => `IPv${family} ${count(pairs, family) - count(silent, family)}`)
  const routes = [...new Set(nodes.map(node => node.routes.size))]
  const ways = describeWays(nodes.flatMap(node => [...node.routes.values()]))
  return [
    `${plural(nodes.length, 'node')}, ${plural(pods.length, 'pod')}: `,
    `${pairs.length - silent.length} of ${pairs.length} pings answered (${perFamily.join(', ')}), `,
    routes.length === 1 ? `${plural(routes[0]!, 'route')} on every node` : `${routes.join(' or ')} routes on a node`,
    ways.includes(',') ? ` (${ways} in all); ` : ways ? ` (${ways}); ` : '; ',
    readyAfter === undefined ? 'never ready' : `ready after ${(readyAfter / 1000).toFixed(1)} s`,
  ].join('')
}
