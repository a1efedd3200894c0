/** The pods of this node, as they are known now. */
import {defer, distinctUntilChanged, filter, map, type Observable, of, share, startWith, switchMap, tap} from 'rxjs'
import {type KubeClient, pathOf} from '../kube/client.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import {findSelf} from '../routes/desired.ts'
import {changedKeys} from '../streams/changed-keys.ts'
import {ApiError} from '../streams/list-watch.ts'
import {type PodFacts, type PodKey, podStream, projectPod} from '../streams/pods.ts'
import type {View} from '../streams/view.ts'
import {contactsWith} from './contacts.ts'
import {reflectorReporter} from './notices.ts'
import type {Identity} from './passes.ts'

export interface Pods {
  /** Empty until they are known. */
  readonly items: ReadonlyMap<PodKey, PodFacts>
  /** One question to the API server. Undefined: it has no such pod. Rejects with ApiError. */
  ask(pod: PodName, signal: AbortSignal): Promise<PodFacts | undefined>
  /** Of what has changed; undefined: anything may have. `items` is kept up to date while it is subscribed to. */
  readonly changed$: Observable<PodKey | undefined>
  /** The name of this node, once it is known. */
  readonly self$: Observable<NodeName>
}

export interface PodName {
  readonly namespace: string
  readonly name: string
}

interface Edges {
  readonly client: KubeClient
  readonly identity: Identity
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly log: Logger
  readonly metrics: Metrics
}

const NONE: ReadonlyMap<PodKey, PodFacts> = new Map()
const RESOURCE = {group: '', version: 'v1', resource: 'pods'} as const

export function createPods({client, identity, nodes$, log, metrics}: Edges): Pods {
  const {self, machineId} = identity
  let items = NONE
  const node$ = self
    ? of(self)
    : nodes$.pipe(
        map(view => (view.synced ? findSelf(view.items, self, machineId) : undefined)),
        filter(node => node !== undefined),
        distinctUntilChanged(),
      )
  const changed$ = node$.pipe(
    switchMap(node =>
      podStream(client.listWatch(RESOURCE), {
        node,
        notice: reflectorReporter('pods', log, metrics),
        heard: contactsWith('pods', metrics).watch().heard,
      }).pipe(
        tap(view => {
          if (view.synced) items = view.items
        }),
        changedKeys(),
      ),
    ),
    share(),
  )
  return {
    self$: node$,
    get items() {
      return items
    },
    // Who comes later has not heard of what is known by then.
    changed$: defer(() => (items === NONE ? changed$ : changed$.pipe(startWith(undefined)))),
    ask: async ({namespace, name}, signal) => {
      try {
        return projectPod(await client.request('GET', pathOf({...RESOURCE, namespace}, name), {signal}))
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined
        throw error
      }
    },
  }
}
