/** What the reflectors and the mirror tell of themselves, as log lines and metrics. */
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {ResyncReason} from '../streams/mirror.ts'
import type {Notice} from '../streams/reflector.ts'
import type {View} from '../streams/view.ts'

/** Who is asked. */
export type Server = Config['store']['type']

/** How sentences call it. */
const SERVERS: Readonly<Record<Server, string>> = {kubernetes: 'the API server', etcd: 'etcd'}

/** For one resource's reflector. */
export function reflectorReporter(
  resource: string,
  log: Logger,
  metrics: Metrics,
  server: Server = 'kubernetes',
): (notice: Notice) => void {
  const who = SERVERS[server]
  let lists = 0
  /** What makes the next list necessary. */
  let reason = 'silent'
  return notice => {
    switch (notice.type) {
      case 'listed':
        if (lists++ > 0) metrics.relists.inc({server, resource, reason})
        // Unless something else is told before the next one, a silence that lasted has made it necessary.
        reason = 'silent'
        metrics.deletionsHeld.set({server, resource}, 0)
        return log.info('listed', {resource, items: notice.items, ms: Math.round(notice.ms), streamed: notice.streamed})
      case 'paged':
        // etcd has never had any.
        if (server === 'etcd') return
        return log.info(`${who} has no streaming lists; reading page by page`, {resource, detail: notice.reason})
      case 'held':
        reason = 'shrunk'
        metrics.deletionsHeld.set({server, resource}, notice.held)
        return log.warn('most objects are missing from a list; keeping them until a second list confirms it', {
          resource,
          missing: notice.held,
          items: notice.items,
        })
      case 'rewatch':
        metrics.watchRestarts.inc({server, resource, reason: notice.why})
        return log.debug('watching again', {resource, reason: notice.why})
      case 'failed': {
        const {error, gone, retryMs} = notice
        if (gone) reason = 'gone'
        metrics.apiErrors.inc({server, resource, code: error.status ?? error.code})
        const fields = {resource, code: error.status ?? error.code, detail: error.message, retryMs: Math.round(retryMs)}
        return gone ? log.info('history is gone; listing again', fields) : log.warn(`${who} failed us`, fields)
      }
      case 'unusable':
        return log.warn('an object cannot be read and is left out', {resource, err: notice.error})
    }
  }
}

/** A cluster need not have every kind: that is told once, and looked for all the same. */
export function quietAbsence(
  report: (notice: Notice) => void,
  log: Logger,
  resource: string,
  absent: () => void = () => {},
): (notice: Notice) => void {
  let told = false
  return notice => {
    if (notice.type !== 'failed' || notice.error.status !== 404) return report(notice)
    absent()
    if (!told) log.info('the cluster has no such resource; it is used as soon as there is one', {resource})
    told = true
  }
}

/** For one resource's views: whether what an earlier agent saved is in the place of what the API server says. */
export function snapshotReporter<K, V>(resource: string, log: Logger, metrics: Metrics): (view: View<K, V>) => void {
  let inUse = false
  metrics.snapshotInUse.set({resource}, 0)
  return view => {
    if (!view.synced || (view.stale !== undefined) === inUse) return
    inUse = !inUse
    metrics.snapshotInUse.set({resource}, inUse ? 1 : 0)
    if (!view.stale) return log.info('the API server has answered; the snapshot is no longer used', {resource})
    log.info('the API server has not answered yet; running on the snapshot of an earlier agent', {
      resource,
      savedAt: new Date(view.stale.savedAt).toISOString(),
      items: view.items.size,
    })
  }
}

/** For the kernel's mirror. */
export function mirrorReporter(log: Logger, metrics: Metrics) {
  return {
    onResync: (reason: ResyncReason) => {
      metrics.kernelResyncs.inc({reason})
      if (reason === 'lost') {
        metrics.netlinkEnobufs.inc()
        log.warn('the kernel told more than could be read; reading everything again', {reason})
      } else log.debug("reading the kernel's state", {reason})
    },
    onError: (error: unknown) => log.warn("the kernel's state could not be read; trying again", {err: error}),
  }
}
