/** Part "burst": many pods asked for at once, and what that costs the node's processors. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Row, Target} from '../results.ts'
import {median} from '../statistics.ts'
import {processorMs} from '../usage.ts'
import {addPods, deletePods} from './pods.ts'
import {type Comparison, compare, playRounds, type Turns} from './rounds.ts'
import {wholeTime} from './runtime.ts'
import type {Session} from './session.ts'
import type {Side} from './sides.ts'

const MOST = 200
/** As many as a runtime has under way. */
const AT_ONCE = 32
const THROUGHPUT: Target = {atLeast: 3}
/** Milliseconds. */
const SETTLING = 250

interface Turn {
  readonly podsPerSecond: number
  /** Milliseconds on a processor for each ADD: the agent's, and the processes' that the runtime has started. */
  readonly agent: number
  readonly started: number
  readonly removedPerSecond: number
}

export async function measureBurst(session: Session): Promise<void> {
  const used = session.sandboxes.slice(0, MOST)
  await measure(session, `burst, ${AT_ONCE} at once`, used, AT_ONCE)
  await measure(session, 'burst, all at once', used, used.length)
}

async function measure(session: Session, part: string, used: readonly string[], atOnce: number): Promise<void> {
  const {results} = session.bench
  const turns = await playRounds(session, side => burst(session, side, used, atOnce))
  const show = (comparison: Omit<Comparison, 'part'>, of: (turn: Turn) => number) =>
    compare(results, {part, ...comparison}, figuresOf(turns, of))
  const perSecond = (name: string): Row => ({name, unit: '/s'})
  show({row: perSecond(`${used.length} pods`), target: THROUGHPUT}, ({podsPerSecond}) => podsPerSecond)
  show({row: perSecond('removed until nothing is left')}, turn => turn.removedPerSecond)
  show({row: {name: 'processor time per ADD', unit: 'ms'}}, ({agent, started}) => agent + started)
  for (const {name, agent} of session.sides) {
    if (!agent) continue
    const {value, samples} = figuresOf(turns, turn => turn.agent).get(name)!
    results.add(part, name, {name: "of it the agent's", unit: 'ms'}, value, samples)
  }
}

/** What a side does for some pods from its first ADD until nothing is left of them. */
async function burst({runtime}: Session, side: Side, sandboxes: readonly string[], atOnce: number): Promise<Turn> {
  const before = await agentMs(side)
  const {calls, pods} = await addPods(runtime, side, sandboxes, atOnce)
  // What an agent does of its own accord because of it is its cost, too.
  await sleep(SETTLING)
  const agent = (await agentMs(side)) - before
  const {gone} = await deletePods(runtime, side, pods, atOnce)
  return {
    podsPerSecond: (pods.length / wholeTime(calls)) * 1000,
    agent: agent / pods.length,
    started: calls.reduce((sum, {cpu}) => sum + cpu, 0) / pods.length,
    removedPerSecond: (pods.length / gone) * 1000,
  }
}

const agentMs = async ({agent}: Side): Promise<number> => (agent ? processorMs(agent.pid) : 0)

const figuresOf = (turns: Turns<Turn>, of: (turn: Turn) => number) =>
  new Map(
    [...turns].map(([side, all]) => {
      const samples = all.map(of)
      return [side, {value: median(samples), samples}] as const
    }),
  )
