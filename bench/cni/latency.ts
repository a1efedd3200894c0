/** Parts "serial" and "parallel": how long a runtime waits for ADD and DEL, one at a time and several at once. */
import type {Target} from '../results.ts'
import {percentile} from '../statistics.ts'
import {addPods, deletePods} from './pods.ts'
import {compare, playRounds} from './rounds.ts'
import type {Session} from './session.ts'

/** Pods of a turn. */
const MOST = 40
const SHARES = {p50: 0.5, p95: 0.95} as const
const TARGETS = {
  ADD: {p50: {atMost: 0.35}, p95: {atMost: 0.5}},
  DEL: {p50: {atMost: 0.6}},
} as const satisfies Record<string, Partial<Record<keyof typeof SHARES, Target>>>

export async function measureLatency(session: Session, part: string, atOnce: number): Promise<void> {
  const {runtime, sandboxes, bench} = session
  const used = sandboxes.slice(0, MOST)
  const turns = await playRounds(session, async side => {
    const {calls, pods} = await addPods(runtime, side, used, atOnce)
    const deleted = await deletePods(runtime, side, pods, atOnce)
    const times = (of: typeof calls) => of.map(({ms}) => ms)
    return {ADD: times(calls), DEL: times(deleted.calls), gone: deleted.gone / used.length}
  })
  for (const verb of ['ADD', 'DEL'] as const)
    for (const [name, share] of Object.entries(SHARES)) {
      const target: Target | undefined = TARGETS[verb][name as 'p50']
      const figures = [...turns].map(([side, all]) => {
        const samples = all.flatMap(each => each[verb])
        return [side, {value: percentile(samples, share), ...(name === 'p50' && {samples})}] as const
      })
      const row = {name: `${verb} ${name}`, unit: 'ms'}
      compare(bench.results, {part, row, ...(target && {target})}, new Map(figures))
    }
  for (const [side, all] of turns) {
    const samples = all.map(({gone}) => gone)
    bench.results.add(
      part,
      side,
      {name: 'a pod until its link has gone', unit: 'ms'},
      percentile(samples, 0.5),
      samples,
    )
  }
}
