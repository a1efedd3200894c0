/** What some work costs the agents. */
import type {Results} from '../results.ts'
import {memory, processorMs} from '../usage.ts'
import type {Session} from './session.ts'

export interface Cost {
  /** Milliseconds on a processor, of all agents. */
  readonly cpu: number
  /** Megabytes, of the largest agent, when the work is done. */
  readonly rss: number
  /** The most that it ever was. */
  readonly peak: number
}

/** From the call until the result is called. */
export async function countCost({nodes}: Session): Promise<() => Promise<Cost>> {
  const cpu = async () => {
    const all = await Promise.all(nodes.map(({agent}) => processorMs(agent.pid)))
    return all.reduce((sum, ms) => sum + ms, 0)
  }
  const before = await cpu()
  return async () => {
    const memories = await Promise.all(nodes.map(({agent}) => memory(agent.pid)))
    const largest = memories.reduce((a, b) => (a.rss > b.rss ? a : b))
    return {cpu: (await cpu()) - before, rss: largest.rss, peak: largest.peak}
  }
}

export function showCost(results: Results, part: string, column: string, {cpu, rss, peak}: Cost): void {
  results.add(part, column, {name: "the agents' processor time", unit: 'ms'}, cpu)
  results.add(part, column, {name: 'RSS of the larger agent then', unit: 'MB'}, rss)
  results.add(part, column, {name: 'RSS at most', unit: 'MB'}, peak)
}
