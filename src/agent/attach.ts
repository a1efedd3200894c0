/** Networks of running pods: what their annotations ask for is attached, changed and taken away, and told of. */
import {EMPTY, filter, from, merge, mergeMap, type Observable, of, tap, timer} from 'rxjs'
import {isFurther} from '../cni/journal.ts'
import type {KubeClient} from '../kube/client.ts'
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import {POD_ANNOTATIONS, type PodFacts, type PodKey} from '../streams/pods.ts'
import type {AdminBoard} from './admin-board.ts'
import {attachReporter} from './attach-report.ts'
import {ATTACHMENTS_STORY} from './attach-tell.ts'
import type {EntryChange} from './cni-entries.ts'
import type {OpenFront} from './cni-open.ts'
import {definitionUsers} from './definition-users.ts'
import type {Definitions} from './definitions.ts'
import type {Lookup} from './pod-networks.ts'
import {createPodPass, type PodPassPorts, type PodReport} from './pod-pass.ts'
import {tellPods} from './pod-tell.ts'
import type {Pods} from './pods.ts'

export interface AttachEdges {
  readonly config: Config
  readonly client: KubeClient
  readonly pods: Pods
  readonly definitions: Definitions
  readonly lookup: Lookup
  readonly findSandbox: PodPassPorts['findSandbox']
  readonly board: Pick<AdminBoard, 'hearPod'>
  readonly log: Logger
  readonly metrics: Metrics
}

/** Milliseconds. */
const RETRY = {baseMs: 200, capMs: 30_000} as const
const REST_MS = 20

/** `changes$`: entries of the journal. One stream that never ends by itself, and never fails. */
export function attach(open: OpenFront, changes$: Observable<EntryChange>, edges: AttachEdges): Observable<unknown> {
  const {config, pods, lookup, log} = edges
  if (!config.attachments.enabled) return EMPTY
  /** What was asked for by pods whose last pass has failed: it is tried again in a while. */
  const failing = new Map<PodKey, string>()
  /** Our own status that comes back must not make it sooner. */
  const isEcho = (key: PodKey): boolean => {
    const pod = pods.items.get(key)
    const failed = failing.get(key)
    const same = pod !== undefined && failed !== undefined && failed === wishOf(pod)
    if (!same) failing.delete(key)
    return same
  }
  const users = definitionUsers(() => pods.items, lookup.parse)
  const pass = createPodPass({
    ...open,
    lookup,
    pod: key => pods.items.get(key),
    findSandbox: edges.findSandbox,
    deadlineMs: config.cni.deadlineSeconds * 1000,
    log,
  })
  const due$ = merge(
    pods.changed$.pipe(
      // Of pods that change unseen in between there is a pass anyway.
      tap(users.forget),
      mergeMap(key => (key === undefined ? everyPod(pods) : of(key))),
      filter(key => !isEcho(key)),
    ),
    edges.definitions.changed$.pipe(mergeMap(users.of)),
    changes$.pipe(mergeMap(concerned)),
    timer(config.kernel.resyncSeconds * 1000, config.kernel.resyncSeconds * 1000).pipe(mergeMap(() => everyPod(pods))),
  )
  const reports$ = due$.pipe(
    coalesceByKey<PodKey, PodReport | undefined>(pass, {
      failed: report => report === undefined || report.failed,
      over: report => report !== undefined && report.pod === undefined,
      onThrow: error => void log.error('the pass of a pod broke; trying again', {err: error}),
      backoff: RETRY,
      restMs: REST_MS,
    }),
    filter(report => report !== undefined),
    tap(({key, pod, failed}) => {
      if (pod && failed) failing.set(key, wishOf(pod))
      else failing.delete(key)
    }),
    tap(report => edges.board.hearPod(report)),
    tap(attachReporter(log)),
  )
  return reports$.pipe(tellPods(edges, ATTACHMENTS_STORY))
}

const everyPod = (pods: Pods): Observable<PodKey> => from([...pods.items.keys()])

/** All of a pod that its networks depend on. */
const wishOf = ({uid, ending, hasAddress, hostNetwork, annotations}: PodFacts): string => {
  const {networkStatus, attachmentsStatus, pairs, pairsRequired, pairsStatus, ...asked} = POD_ANNOTATIONS
  return JSON.stringify([uid, ending, hasAddress, hostNetwork, ...Object.values(asked).map(name => annotations[name])])
}

/**
 * Of what others have begun and ended, of what has gone, and of what could not go before. Not of what has never stood: a
 * pass of ours has failed, and is tried again in a while.
 */
function concerned({before, entry}: EntryChange): PodKey[] {
  const plan = (entry ?? before)?.plan
  if (!plan?.pod) return []
  const isDue = isFurther(plan)
    ? (entry === undefined && before?.result !== undefined) ||
      (entry?.state === 'added' && plan.attachment?.origin === 'request')
    : entry?.state === 'added'
  return isDue ? [`${plan.pod.namespace}/${plan.pod.name}`] : []
}
