/** What becomes of what is asked of the store: for metrics, and for who wants to know why it does not answer. */
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import type {Collection, Document, StoreErrorCode} from '../model/store.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {StoreOptions} from '../store/options.ts'
import type {View} from '../streams/view.ts'
import {quietAbsence, reflectorReporter} from './notices.ts'

type Op = 'create' | 'read' | 'replace' | 'delete' | 'list'

export interface StoreWatch {
  /** Of the store's streams. */
  readonly ears: Required<Pick<StoreOptions, 'notice' | 'heard'>>
  /** Of each view. `resource`: "pairpods". */
  saw(resource: string, view: View<unknown, unknown>): void
  /** The same collection; calls that fail are counted. */
  counted<D extends Document>(resource: string, collection: Collection<D>): Collection<D>
  /** Whether this node's sign of life is there. */
  held(held: boolean): void
  /** What the last try of a watch met of which nothing has been heard since. A sentence. */
  readonly trouble: string | undefined
}

export function watchStore({type: store}: Config['store'], log: Logger, metrics: Metrics): StoreWatch {
  const reporters = new Map<string, ReturnType<typeof reflectorReporter>>()
  const reporterOf = (resource: string) => {
    const known = reporters.get(resource)
    const reporter = known ?? quietAbsence(reflectorReporter(resource, log, metrics, store), log, resource)
    reporters.set(resource, reporter)
    return reporter
  }
  const troubles = new Map<string, string>()
  const synced = new Map<string, boolean>()

  return {
    ears: {
      notice: (resource, notice) => {
        if (notice.type === 'failed' && !notice.gone) troubles.set(resource, notice.error.message)
        reporterOf(resource)(notice)
      },
      heard: resource => {
        troubles.delete(resource)
        metrics.storeLastContact.set({store, resource}, Date.now() / 1000)
      },
    },
    saw: (resource, {synced: isKnown}) => {
      if (synced.get(resource) === isKnown) return
      synced.set(resource, isKnown)
      metrics.storeSynced.set({store, resource}, isKnown ? 1 : 0)
    },
    counted: (resource, collection) => {
      const count = async <T>(op: Op, call: Promise<T>, signal: AbortSignal): Promise<T> => {
        try {
          return await call
        } catch (error) {
          const {code = 'other'} = Object(error) as {readonly code?: StoreErrorCode | 'other'}
          if (!signal.aborted) metrics.storeErrors.inc({store, resource, op, code})
          throw error
        }
      }
      const {entries$} = collection
      return {
        create: (key, value, signal) => count('create', collection.create(key, value, signal), signal),
        read: (key, signal) => count('read', collection.read(key, signal), signal),
        replace: (key, value, revision, signal) =>
          count('replace', collection.replace(key, value, revision, signal), signal),
        delete: (key, revision, signal) => count('delete', collection.delete(key, revision, signal), signal),
        list: signal => count('list', collection.list(signal), signal),
        entries$,
      }
    },
    held: held => metrics.storeSignOfLife.set({store}, held ? 1 : 0),
    get trouble() {
      const [first] = troubles.values()
      return first
    },
  }
}
