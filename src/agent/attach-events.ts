/** What has become different for a pod's user since the last report, as Events. Pure. */
import type {AttachmentState} from '../attach/status.ts'
import type {PodEvent} from '../kube/events.ts'
import type {PodReport} from './pod-pass.ts'

export function eventsOf(before: readonly AttachmentState[], {states, actions, more = []}: PodReport): PodEvent[] {
  const events: PodEvent[] = []
  const had = new Map(before.map(state => [keyOf(state), state]))
  // Several elements can be nothing but a reason.
  const said = new Set(before.map(wordsOf))
  // What an annotation's fault leaves as it was needs no Event beside that of the fault.
  const faults = new Set(states.flatMap(({state, reason}) => (state === 'failed' ? (reason ?? []) : [])))
  for (const state of states) {
    const earlier = had.get(keyOf(state))
    had.delete(keyOf(state))
    const {name, interface: ifname, reason} = state
    const done = actions.find(each => each.ifname === ifname && !each.error && each.op !== 'detach')
    const ips = more.find(({plan}) => plan.ifname === ifname)?.result?.ips.map(({address}) => address) ?? []
    const what = `${name} as ${ifname}${ips.length > 0 ? ` (${ips.join(', ')})` : ''}`
    const isNews = !said.has(wordsOf(state)) && state.state !== 'pending'
    if (reason !== undefined && isNews && (state.state === 'failed' || !faults.has(reason)))
      events.push({
        type: 'Warning',
        reason: state.state === 'failed' ? 'AttachFailed' : 'NotUpdated',
        message: titled(name, reason),
      })
    if (state.state !== 'attached') continue
    if (done?.op === 'update') events.push({type: 'Normal', reason: 'Updated', message: `changed ${what} in place`})
    else if (done?.op === 'replace') events.push({type: 'Normal', reason: 'Updated', message: `attached ${what} anew`})
    else if (done || earlier?.state !== 'attached')
      events.push({type: 'Normal', reason: 'Attached', message: `attached ${what}`})
  }
  for (const {name, interface: ifname, state} of had.values())
    if (state === 'attached')
      events.push({type: 'Normal', reason: 'Detached', message: `detached ${name} from ${ifname}`})
  return events
}

const keyOf = ({name, interface: ifname}: AttachmentState): string => `${name} ${ifname}`

const wordsOf = ({name, interface: ifname, reason}: AttachmentState): string => JSON.stringify([name, ifname, reason])

const titled = (name: string, reason: string): string => (name === '' ? reason : `${name}: ${reason}`)
