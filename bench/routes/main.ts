/** `npm run bench:routes`: the door. Exit status: 0 measured, 1 something failed, 2 the command line is wrong. */
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Bench} from '../bench.ts'
import {atTheDoor, benchmark, print, tell} from '../benchmark.ts'
import type {Backend} from '../cluster.ts'
import {measureFacts} from './facts.ts'
import {addSlope, measureFootprint} from './footprint.ts'
import {measureGateways} from './gateways.ts'
import {measureLatency} from './latency.ts'
import {measureLoop} from './loop.ts'
import {type Options, type Part, parseOptions, USAGE} from './options.ts'
import {measureRepair} from './repair.ts'
import {inSession, type Session} from './session.ts'
import {measureStart} from './start.ts'

const OF_AGENTS = ['start', 'footprint', 'latency', 'repair', 'loop'] as const satisfies Part[]
/** Milliseconds in which an agent does what follows from its start, as saving the nodes. */
const SETTLING = 4000
const JSON_FILE = join(import.meta.dirname, '..', 'results', 'routes.json')

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args, JSON_FILE)
  if (options.help) return print(USAGE.trimEnd())
  await benchmark('routes', options, async bench => {
    for (const nodes of options.parts.has('kernel') ? options.sizes : []) {
      tell(`${nodes} nodes: kernel`)
      await measureGateways(bench, nodes)
    }
    for (const backend of options.backends) await measure(bench, backend, options)
  })
}

/** An agent that is alone in its cluster tells what the first node costs. */
async function measure(bench: Bench, backend: Backend, options: Options): Promise<void> {
  const {parts} = options
  const rss = new Map<number, number>()
  for (const nodes of parts.has('footprint') ? [1, ...options.sizes] : options.sizes) {
    const what = {backend, nodes}
    if (nodes > 1 && (parts.has('facts') || parts.has('loop'))) {
      tell(`${backend}, ${nodes} nodes: facts to kernel`)
      await measureFacts(bench, what, {facts: parts.has('facts'), loop: parts.has('loop')})
    }
    if (!OF_AGENTS.some(part => parts.has(part))) continue
    await inSession(bench, what, async session => {
      const size = await measureAgent(session, options)
      if (size !== undefined) rss.set(nodes, size)
    })
  }
  addSlope(backend, rss, bench.results)
}

/** Resolves with its RSS, if that is asked for. */
async function measureAgent(session: Session, options: Options): Promise<number | undefined> {
  const {agent, what} = session
  const {parts, sizes} = options
  const about = (part: Part) => tell(`${what.backend}, ${what.nodes} nodes: ${part}`)
  const asked = (part: Part) => {
    const wanted = parts.has(part) && (what.nodes > 1 || part === 'footprint')
    if (wanted) about(part)
    return wanted
  }
  if (asked('start')) await measureStart(session)
  await agent.forget()
  await agent.start()
  await agent.ready()
  await sleep(SETTLING)
  const rss = asked('footprint') ? await measureFootprint(session) : undefined
  if (asked('latency')) await measureLatency(session)
  if (what.nodes === Math.min(...sizes) && asked('repair')) await measureRepair(session)
  await agent.stop()
  if (asked('loop')) await measureLoop(session)
  return rss
}

await atTheDoor(main)
