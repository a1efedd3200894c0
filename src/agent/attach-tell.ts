/** Tells users of their pods' networks: the status annotations, in one write, and Events. */
import {map, type OperatorFunction, pipe, tap} from 'rxjs'
import {
  type AttachmentState,
  attachmentsStatus,
  type InterfaceFacts,
  networkStatus,
  parseStates,
} from '../attach/status.ts'
import type {Entry} from '../cni/journal.ts'
import {type KubeClient, pathOf} from '../kube/client.ts'
import {createEvent} from '../kube/events.ts'
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import {ApiError} from '../streams/list-watch.ts'
import {POD_ANNOTATIONS, type PodFacts, type PodKey} from '../streams/pods.ts'
import {eventsOf} from './attach-events.ts'
import {createEventQueue, type EventQueue} from './event-queue.ts'
import type {PodReport} from './pod-pass.ts'
import type {Pods} from './pods.ts'

interface Edges {
  readonly config: Config
  readonly client: KubeClient
  readonly pods: Pods
  readonly log: Logger
  readonly metrics: Metrics
}

/** What is known of what a pod's user has been told. */
interface Told {
  readonly uid: string
  states: readonly AttachmentState[]
  readonly events: EventQueue
  report: PodReport & {readonly pod: PodFacts}
  /** The annotations that were written last, and when, until the watch tells of them. */
  written?: {readonly annotations: Annotations; readonly at: number}
}

type Annotations = Readonly<Record<string, string | null>>

/** Milliseconds. */
const HEARD_MS = 2000
const WRITE_MS = 5000

interface Outcome {
  readonly over: boolean
  /** The watch has not told yet of what was written. */
  readonly unheard?: boolean
  readonly error?: unknown
}

export function tellPods({config, client, pods, log, metrics}: Edges): OperatorFunction<PodReport, unknown> {
  const known = new Map<PodKey, Told>()
  let failing = false
  /** Statuses with which Events have been refused since one was taken. */
  const refusals = new Set<number | undefined>()

  const eventRefused = (error: ApiError): void => {
    metrics.apiErrors.inc({resource: 'events', code: codeOf(error)})
    if (!refusals.has(error.status)) log.warn('the API server refuses Events on pods; they are left out', {err: error})
    refusals.add(error.status)
  }

  const hear = (report: PodReport): void => {
    const {key, pod} = report
    if (!pod) return void known.delete(key)
    let told = known.get(key)
    if (told?.uid !== pod.uid) {
      const states = parseStates(pod.annotations[POD_ANNOTATIONS.attachmentsStatus])
      told = {uid: pod.uid, states, events: createEventQueue(), report: {...report, pod}}
      known.set(key, told)
    }
    const {states} = told
    report = {...report, states: steady(report.states, states)}
    told.events.add(eventsOf(states, report))
    told.states = report.states
    told.report = {...report, pod}
  }

  const tell = async (key: PodKey, signal: AbortSignal): Promise<Outcome> => {
    const told = known.get(key)
    if (!told) return {over: true}
    const limit = AbortSignal.any([signal, AbortSignal.timeout(WRITE_MS)])
    const {pod} = told.report
    const now = pods.items.get(key) ?? pod
    if (isHeard(told, now)) delete told.written
    const {annotations, unheard} = missing(told, now)
    const write = async () => {
      if (Object.keys(annotations).length === 0) return
      await client.request(
        'PATCH',
        `${pathOf({group: '', version: 'v1', resource: 'pods', namespace: pod.namespace}, pod.name)}/status`,
        {
          contentType: 'application/merge-patch+json',
          // Never the pod of that name that has come since.
          body: {metadata: {uid: pod.uid, annotations}},
          signal: limit,
        },
      )
      told.written = {annotations: {...told.written?.annotations, ...annotations}, at: performance.now()}
    }
    try {
      // Annotations that are full must not keep the Events from being told.
      const refusal = await write().then(
        () => undefined,
        error => {
          if (error instanceof ApiError && error.status === 422) return error
          throw error
        },
      )
      await told.events.send({
        post: async (event, id) => {
          await createEvent(client, pod, event, {id, host: config.node ?? '', signal: limit})
          refusals.clear()
        },
        refused: eventRefused,
      })
      return {over: false, unheard, error: refusal}
    } catch (error) {
      // It has gone in the meantime.
      if (error instanceof ApiError && error.status === 404) {
        known.delete(key)
        return {over: true}
      }
      return {over: false, error}
    }
  }

  return pipe(
    tap(hear),
    map(({key}) => key),
    coalesceByKey<PodKey, Outcome>(tell, {
      failed: ({error, unheard}) => error !== undefined || unheard === true,
      over: ({over}) => over,
      onThrow: error => ({over: false, error}),
      backoff: {baseMs: 200},
      restMs: 50,
    }),
    tap(({error}) => {
      if (error !== undefined) {
        metrics.apiErrors.inc({resource: 'pods', code: codeOf(error)})
        if (!failing) log.warn("what pods' networks are cannot be written; trying again", {err: error})
      }
      failing = error !== undefined
    }),
  )
}

const codeOf = (error: unknown): string | number =>
  error instanceof ApiError ? (error.status ?? error.code) : 'unknown'

const isHeard = ({written}: Told, {annotations}: PodFacts): boolean =>
  written !== undefined &&
  Object.entries(written.annotations).every(([name, text]) => (annotations[name] ?? null) === text)

/** Annotations that are not as they should be. `unheard`: others are as we have left them, as far as is known. */
function missing({report, written}: Told, now: PodFacts): {annotations: Annotations; unheard: boolean} {
  const {states, first, more} = report
  const has = now.annotations
  // Another program's business.
  if (states.length === 0 && has[POD_ANNOTATIONS.attachmentsStatus] === undefined)
    return {annotations: {}, unheard: false}
  const {attachmentsStatus: name} = POD_ANNOTATIONS
  const wanted: Record<string, string | null> = {
    ...(more && {
      [POD_ANNOTATIONS.networkStatus]: networkStatus(
        first && factsOf(first),
        more.map(factsOf),
        has[POD_ANNOTATIONS.networkStatus],
      ),
    }),
    [name]: states.length === 0 ? null : attachmentsStatus(states, [has[name], written?.annotations[name]], Date.now()),
  }
  const recent = written && performance.now() - written.at < HEARD_MS ? written.annotations : {}
  const unlike = Object.entries(wanted).filter(([name, text]) => (has[name] ?? null) !== text)
  const due = unlike.filter(([name, text]) => !(name in recent && sameStatus(recent[name]!, text)))
  return {annotations: Object.fromEntries(due), unheard: due.length < unlike.length}
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

/** But for the time since when it is so, which the first of two writes has told. */
const sameStatus = (a: string | null, b: string | null): boolean => timeless(a) === timeless(b)

const timeless = (text: string | null): string | null => text?.replaceAll(/"since":"[^"]*"/g, '') ?? null

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
