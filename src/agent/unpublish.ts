/** Takes from this node's object what it tells of networks that are not in the configuration any more. */
import {distinctUntilChanged, filter, map, type Observable, tap} from 'rxjs'
import {annotateNode} from '../kube/annotate.ts'
import type {KubeClient} from '../kube/client.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import {VTEP_ANNOTATION} from '../model/vtep.ts'
import {findSelf} from '../routes/desired.ts'
import {coalesce} from '../streams/coalesce.ts'
import type {View} from '../streams/view.ts'
import type {Identity} from './passes.ts'

export interface UnpublishOptions {
  readonly config: Pick<Config, 'networks'>
  readonly client: KubeClient
  readonly identity: Identity
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly log: Logger
}

/** Milliseconds. An agent that still has the network tells of it again at once. */
const REST_MS = 10_000

export function unpublish({config, client, identity, nodes$, log}: UnpublishOptions): Observable<unknown> {
  const own = new Set<string>(config.networks.map(({name}) => name))
  const {self, machineId} = identity
  return nodes$.pipe(
    filter(view => view.synced && view.stale === undefined),
    map(view => {
      const node = view.synced ? findSelf(view.items, self, machineId) : undefined
      const vteps = view.synced && node !== undefined ? (view.items.get(node)?.vteps ?? []) : []
      return {node, networks: vteps.map(({network}) => network).filter(network => !own.has(network))}
    }),
    distinctUntilChanged((a, b) => a.node === b.node && a.networks.join() === b.networks.join()),
    coalesce<{node: NodeName | undefined; networks: readonly string[]}, {networks: readonly string[]; error?: unknown}>(
      async ({node, networks}, signal) => {
        if (node === undefined || networks.length === 0) return {networks: []}
        const annotations = Object.fromEntries(networks.map(network => [`${VTEP_ANNOTATION}${network}`, null]))
        await annotateNode(client, node, annotations, signal)
        return {networks}
      },
      {
        failed: ({error}) => error !== undefined,
        rest: ({networks}) => (networks.length > 0 ? REST_MS : 0),
        onThrow: error => ({networks: [], error}),
        backoff: {baseMs: 500},
      },
    ),
    tap(({networks}) => {
      if (networks.length > 0)
        log.info('the ends of tunnels of networks that are not in the configuration any more are taken back', {
          networks: networks.join(' '),
        })
    }),
  )
}
