/** Part "footprint": the memory of an agent whose node has many pods. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Row} from '../results.ts'
import {memory} from '../usage.ts'
import {addPods, deletePods} from './pods.ts'
import type {Session} from './session.ts'

const PART = 'footprint'
const AT_ONCE = 32
const WITHOUT = {name: 'RSS without pods', unit: 'MB'} as const satisfies Row
/** Pods and MB. */
const TARGET = {pods: 500, rss: 115}
/** Milliseconds in which an agent does what follows from its start, or from many ADDs. */
const SETTLING = 1500

/** Each time of an agent that has just been started. */
export async function measureFootprint({bench: {results}, runtime, sides, sandboxes}: Session): Promise<void> {
  const count = sandboxes.length
  const rss: Row = {name: `RSS with ${count} pods`, unit: 'MB'}
  for (const side of sides) {
    const {name, agent} = side
    if (!agent) continue
    await agent.stop()
    await agent.start()
    await agent.ready()
    await sleep(SETTLING)
    results.add(PART, name, WITHOUT, (await memory(agent.pid)).rss)
    const {pods} = await addPods(runtime, side, sandboxes, AT_ONCE)
    await sleep(SETTLING)
    const now = await memory(agent.pid)
    results.add(PART, name, count >= TARGET.pods ? {...rss, target: {atMost: TARGET.rss}} : rss, now.rss)
    results.add(PART, name, {name: 'RSS at most', unit: 'MB'}, now.peak)
    await deletePods(runtime, side, pods, AT_ONCE)
  }
}
