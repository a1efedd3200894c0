/** Tells users on their pods what has become of what they asked for: annotations, in one write, and Events. */
import {map, type OperatorFunction, pipe, tap} from 'rxjs'
import {type KubeClient, pathOf} from '../kube/client.ts'
import {createEvent, type PodEvent} from '../kube/events.ts'
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import {ApiError} from '../streams/list-watch.ts'
import type {PodFacts, PodKey} from '../streams/pods.ts'
import {createEventQueue, type EventQueue} from './event-queue.ts'
import type {Pods} from './pods.ts'

export interface TellEdges {
  readonly config: Config
  readonly client: KubeClient
  readonly pods: Pods
  readonly log: Logger
  readonly metrics: Metrics
}

/** By name; null: there is to be none. */
export type Annotations = Readonly<Record<string, string | null>>

export interface Tellable {
  readonly key: PodKey
  /** Undefined: it has gone, or is none of ours. */
  readonly pod?: PodFacts | undefined
}

type Present<R> = R & {readonly pod: PodFacts}

/** What is told of a pod. `S`: what its user has been told already. */
export interface PodStory<R extends Tellable, S> {
  /** Of a pod that has not been heard of yet: as its annotations say. */
  begin(pod: PodFacts): S
  /** `report`: with the words that are used of it from now on. */
  hear(
    before: S,
    report: Present<R>,
  ): {readonly report: Present<R>; readonly told: S; readonly events: readonly PodEvent[]}
  /** As they should be. `written`: those that were written last, though the watch may not have told of it yet. */
  annotations(report: Present<R>, has: PodFacts['annotations'], written: Annotations): Annotations
}

/** What is known of what a pod's user has been told. */
interface Told<R, S> {
  readonly uid: string
  told: S
  readonly events: EventQueue
  report: Present<R>
  /** The annotations that were written last, and when, until the watch tells of them. */
  written?: {readonly annotations: Annotations; readonly at: number}
}

/** Milliseconds. */
const HEARD_MS = 2000
const WRITE_MS = 5000

interface Outcome {
  readonly over: boolean
  /** The watch has not told yet of what was written. */
  readonly unheard?: boolean
  readonly error?: unknown
}

export function tellPods<R extends Tellable, S>(
  {config, client, pods, log, metrics}: TellEdges,
  story: PodStory<R, S>,
): OperatorFunction<R, unknown> {
  const known = new Map<PodKey, Told<R, S>>()
  let failing = false
  /** Statuses with which Events have been refused since one was taken. */
  const refusals = new Set<number | undefined>()

  const eventRefused = (error: ApiError): void => {
    metrics.apiErrors.inc({server: 'kubernetes', resource: 'events', code: codeOf(error)})
    if (!refusals.has(error.status)) log.warn('the API server refuses Events on pods; they are left out', {err: error})
    refusals.add(error.status)
  }

  const hear = (report: R): void => {
    const {key, pod} = report
    if (!pod) return void known.delete(key)
    const present = {...report, pod}
    let told = known.get(key)
    if (told?.uid !== pod.uid) {
      told = {uid: pod.uid, told: story.begin(pod), events: createEventQueue(), report: present}
      known.set(key, told)
    }
    const heard = story.hear(told.told, present)
    told.events.add(heard.events)
    told.told = heard.told
    told.report = heard.report
  }

  const tell = async (key: PodKey, signal: AbortSignal): Promise<Outcome> => {
    const told = known.get(key)
    if (!told) return {over: true}
    const limit = AbortSignal.any([signal, AbortSignal.timeout(WRITE_MS)])
    const {pod} = told.report
    const now = pods.items.get(key) ?? pod
    if (isHeard(told, now)) delete told.written
    const {annotations, unheard} = missing(story, told, now)
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
        metrics.apiErrors.inc({server: 'kubernetes', resource: 'pods', code: codeOf(error)})
        if (!failing) log.warn('what is told on pods cannot be written; trying again', {err: error})
      }
      failing = error !== undefined
    }),
  )
}

const codeOf = (error: unknown): string | number =>
  error instanceof ApiError ? (error.status ?? error.code) : 'unknown'

const isHeard = ({written}: Pick<Told<unknown, unknown>, 'written'>, {annotations}: PodFacts): boolean =>
  written !== undefined &&
  Object.entries(written.annotations).every(([name, text]) => (annotations[name] ?? null) === text)

/** Annotations that are not as they should be. `unheard`: others are as we have left them, as far as is known. */
function missing<R extends Tellable, S>(
  story: PodStory<R, S>,
  {report, written}: Told<R, S>,
  {annotations: has}: PodFacts,
): {annotations: Annotations; unheard: boolean} {
  const wanted = story.annotations(report, has, written?.annotations ?? {})
  const recent = written && performance.now() - written.at < HEARD_MS ? written.annotations : {}
  const unlike = Object.entries(wanted).filter(([name, text]) => (has[name] ?? null) !== text)
  const due = unlike.filter(([name, text]) => !(name in recent && sameStatus(recent[name]!, text)))
  return {annotations: Object.fromEntries(due), unheard: due.length < unlike.length}
}

/** But for the time since when it is so, which the first of two writes has told. */
const sameStatus = (a: string | null, b: string | null): boolean => timeless(a) === timeless(b)

const timeless = (text: string | null): string | null => text?.replaceAll(/"since":"[^"]*"/g, '') ?? null
