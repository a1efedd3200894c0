/** What is told of a pod's pairs: `netgraft.dev/pairs-status`, and Events. */
import type {PodEvent} from '../kube/events.ts'
import type {PairState} from '../model/pair.ts'
import {pairsStatus, parsePairStates} from '../pairs/states.ts'
import {POD_ANNOTATIONS} from '../streams/pods.ts'
import type {PodStory, Tellable} from './pod-tell.ts'

export interface PairPodReport extends Tellable {
  readonly states: readonly PairState[]
}

export const PAIRS_STORY: PodStory<PairPodReport, readonly PairState[]> = {
  begin: ({annotations}) => parsePairStates(annotations[POD_ANNOTATIONS.pairsStatus]),
  hear: (before, report) => ({report, told: report.states, events: eventsOf(before, report.states)}),
  annotations: ({states}, has, written) => {
    const {pairsStatus: name} = POD_ANNOTATIONS
    if (states.length === 0) return has[name] === undefined ? {} : {[name]: null}
    return {[name]: pairsStatus(states, [has[name], written[name]], Date.now())}
  },
}

/** What has become different. */
export function eventsOf(before: readonly PairState[], now: readonly PairState[]): PodEvent[] {
  const events: PodEvent[] = []
  const had = new Map(before.map(state => [keyOf(state), state]))
  const said = new Set(before.map(wordsOf))
  for (const state of now) {
    const earlier = had.get(keyOf(state))
    had.delete(keyOf(state))
    const {interface: ifname, peer, kind, mtu, reason} = state
    const title = ifname === undefined ? '' : `${ifname}${peer === undefined ? '' : ` to ${peer}`}`
    if (state.state === 'up') {
      const way = `${kind} (mtu ${mtu})`
      if (earlier?.state !== 'up') events.push({type: 'Normal', reason: 'Paired', message: `paired ${title} by ${way}`})
      else if (earlier.kind !== kind)
        events.push({type: 'Normal', reason: 'Paired', message: `paired ${title} by ${way} instead of ${earlier.kind}`})
    } else if (earlier?.state === 'up')
      events.push({
        type: 'Normal',
        reason: 'Unpaired',
        message: `${title} is not up any more: ${reason ?? state.state}`,
      })
    if ((state.state === 'failed' || state.state === 'contradiction') && !said.has(wordsOf(state)))
      events.push({
        type: 'Warning',
        reason: state.state === 'failed' ? 'PairFailed' : 'PairContradiction',
        message: [title, reason].filter(Boolean).join(': '),
      })
  }
  for (const {interface: ifname, peer, state} of had.values())
    if (state === 'up')
      events.push({type: 'Normal', reason: 'Unpaired', message: `${ifname} is no longer paired with ${peer}`})
  return events
}

const keyOf = ({interface: ifname, peer}: PairState): string => `${ifname} ${peer}`

const wordsOf = ({interface: ifname, state, reason}: PairState): string => JSON.stringify([ifname, state, reason])
