/** Two ways to read everything there is at one revision. Objects are projected as they come; none is kept. */
import type {ApiObject, Fold} from './fold.ts'
import type {ListQuery, ListWatchTransport, WatchEvent} from './list-watch.ts'

export interface Snapshot<F, K> {
  readonly items: ReadonlyMap<K, F>
  /** Changes after this one are still to be heard. */
  readonly revision: string
  /** When the last bytes arrived: `performance.now()`, milliseconds. */
  readonly at: number
  /** How long the reading took. */
  readonly ms: number
  readonly streamed: boolean
}

/** The server does not do streaming lists. */
export class NoStreaming extends Error {}

export async function readPages<F, K extends string>(
  transport: ListWatchTransport,
  first: ListQuery,
  fold: Fold<F, K>,
  signal: AbortSignal,
): Promise<Snapshot<F, K>> {
  const started = performance.now()
  const items = new Map<K, F>()
  for (let query = first; ; ) {
    const end = await transport.list(query, object => fold.put(object, items), signal)
    const at = performance.now()
    if (!end.continue) return {items, revision: end.resourceVersion, at, ms: at - started, streamed: false}
    query = {...first, continue: end.continue, resourceVersion: undefined}
  }
}

/**
 * The initial events of a watch, up to the bookmark that ends them. A server that ignores `sendInitialEvents` also
 * begins with events, but goes on with an ordinary bookmark, or ends: then throws {@link NoStreaming}.
 */
export async function readInitial<F, K extends string>(
  events: AsyncIterator<WatchEvent>,
  fold: Fold<F, K>,
): Promise<Snapshot<F, K>> {
  const started = performance.now()
  const items = new Map<K, F>()
  for (let next = await events.next(); !next.done; next = await events.next()) {
    const {type, object, at} = next.value
    if (type === 'DELETED') fold.remove(object, items)
    else if (type !== 'BOOKMARK') fold.put(object, items)
    else {
      const revision = revisionOf(object)
      if (!endsInitialEvents(object) || revision === undefined) {
        throw new NoStreaming('the API server does not mark the end of the initial events')
      }
      return {items, revision, at, ms: at - started, streamed: true}
    }
  }
  throw new NoStreaming('the API server ended the watch before the end of the initial events')
}

export function revisionOf(object: unknown): string | undefined {
  const revision = (object as ApiObject | null)?.metadata?.resourceVersion
  return typeof revision === 'string' && revision !== '' ? revision : undefined
}

const endsInitialEvents = (bookmark: unknown): boolean =>
  (bookmark as ApiObject | null)?.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true'
