/** What is told of a pod's networks: its two status annotations, and Events. */
import {
  type AttachmentState,
  attachmentsStatus,
  type InterfaceFacts,
  networkStatus,
  parseStates,
} from '../attach/status.ts'
import type {Entry} from '../cni/journal.ts'
import {POD_ANNOTATIONS} from '../streams/pods.ts'
import {eventsOf} from './attach-events.ts'
import type {PodReport} from './pod-pass.ts'
import type {PodStory} from './pod-tell.ts'

export const ATTACHMENTS_STORY: PodStory<PodReport, readonly AttachmentState[]> = {
  begin: ({annotations}) => parseStates(annotations[POD_ANNOTATIONS.attachmentsStatus]),
  hear: (before, heard) => {
    const report = {...heard, states: steady(heard.states, before)}
    return {report, told: report.states, events: eventsOf(before, report)}
  },
  annotations: ({states, first, more, others}, has, written) => {
    const {attachmentsStatus: name} = POD_ANNOTATIONS
    // Another program's business.
    if (states.length === 0 && has[name] === undefined) return {}
    return {
      ...(more && {
        [POD_ANNOTATIONS.networkStatus]: networkStatus(
          first && factsOf(first),
          more.map(factsOf),
          has[POD_ANNOTATIONS.networkStatus],
          others,
        ),
      }),
      [name]: states.length === 0 ? null : attachmentsStatus(states, [has[name], written[name]], Date.now()),
    }
  },
}

/** A trouble that goes on is told in the same words, though they name something that is made anew with each try. */
function steady(states: readonly AttachmentState[], before: readonly AttachmentState[]): AttachmentState[] {
  const said = new Map(before.map(state => [essence(state), state.reason]))
  return states.map(state => {
    const reason = said.get(essence(state))
    return reason === undefined ? state : {...state, reason}
  })
}

const essence = ({name, interface: ifname, state, reason}: AttachmentState): string =>
  JSON.stringify([name, ifname, state, typeof reason === 'string' ? reason.replaceAll(PASSING, '') : undefined])

/** Names that programs think up. */
const PASSING = /[0-9a-f]{8,}/g

function factsOf({plan, result}: Entry): InterfaceFacts {
  const {attachment, ifname, list} = plan
  const own = result?.interfaces.find(({name, sandbox}) => name === ifname && sandbox !== undefined)
  const definition = attachment?.definition
  return {
    name: definition ? [definition.namespace, definition.name].filter(Boolean).join('/') : list.name,
    interface: ifname,
    ips: result?.ips.map(({address}) => address) ?? [],
    mac: own?.mac,
    mtu: own?.mtu,
    gateway: attachment?.selection.defaultRoute,
    dns: result?.dns ?? {},
    device: attachment?.device,
  }
}
