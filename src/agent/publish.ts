/** Publishes this node's end of the tunnels on its Node object, so that the others find it. */
import {distinctUntilChanged, filter, map, type OperatorFunction, pipe, tap} from 'rxjs'
import {annotateNode} from '../kube/annotate.ts'
import type {KubeClient} from '../kube/client.ts'
import type {Logger} from '../model/logger.ts'
import {formatVtep, VTEP_ANNOTATION} from '../model/vtep.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {Publication, RouteReport} from '../routes/pass.ts'
import {coalesce} from '../streams/coalesce.ts'
import {ApiError} from '../streams/list-watch.ts'

interface Outcome {
  readonly wanted?: Publication | undefined
  readonly error?: unknown
}

/** Of one network's passes: what the last one found missing is written, until it is there. */
export function publish(client: KubeClient, log: Logger, metrics: Metrics): OperatorFunction<RouteReport, unknown> {
  let failing = false
  return pipe(
    filter(({error}) => error === undefined),
    map(({publish: wanted}) => ({wanted, at: performance.now()})),
    // Every pass says it again until the API server has told of it; a refused one is tried again with backoff.
    distinctUntilChanged((a, b) => keyOf(a.wanted) === keyOf(b.wanted) && b.at - a.at < AGAIN_MS),
    map(({wanted}) => wanted),
    coalesce<Publication | undefined, Outcome>(
      async (wanted, signal) => {
        if (wanted) await annotateNode(client, wanted.node, annotationOf(wanted), signal)
        return {wanted}
      },
      {
        failed: ({error}) => error !== undefined,
        // Two agents that take themselves for one node would answer each other at once, and all others would hear it.
        rest: ({wanted}) => (wanted ? REST_MS : 0),
        onThrow: error => ({error}),
        backoff: {baseMs: 500},
      },
    ),
    tap(({wanted, error}) => {
      if (error !== undefined) {
        metrics.apiErrors.inc({server: 'kubernetes', resource: 'nodes', code: codeOf(error)})
        if (!failing) log.warn('the end of our tunnel cannot be published; trying again', {err: error})
      } else if (wanted) log.info('the end of our tunnel is published', {network: wanted.network, vtep: textOf(wanted)})
      failing = error !== undefined
    }),
  )
}

/** Milliseconds between two publications. */
const REST_MS = 2000

/** Milliseconds after which what was written and is still not there is written again. */
const AGAIN_MS = 30_000

const keyOf = (wanted: Publication | undefined): string | undefined => wanted && `${wanted.node} ${textOf(wanted)}`

const textOf = ({vtep}: Publication): string | null => (vtep ? formatVtep(vtep) : null)

const annotationOf = (wanted: Publication) => ({[`${VTEP_ANNOTATION}${wanted.network}`]: textOf(wanted)})

const codeOf = (error: unknown): string | number =>
  error instanceof ApiError ? (error.status ?? error.code) : 'unknown'
