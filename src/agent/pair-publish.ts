/** Tells the other nodes of this node's pods, through the store: level-triggered, one pod at a time. */
import {isDeepStrictEqual} from 'node:util'
import {filter, type OperatorFunction, pipe, tap} from 'rxjs'
import type {NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {Endpoint} from '../model/pair.ts'
import {type Collection, type Entry, StoreError} from '../model/store.ts'
import {type EndpointDocument, mayReplace} from '../pairs/documents.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import type {PodKey} from '../streams/pods.ts'
import type {PairStore} from './pair-store.ts'
import {createUnheard} from './pair-unheard.ts'

interface PublishPorts {
  readonly self: NodeName
  readonly collection: Collection<EndpointDocument>
  /** As the store's stream has told last. */
  readonly stored: (pod: PodKey) => Entry<EndpointDocument> | undefined
  /** What is to be told now. undefined: there is nothing. */
  readonly wanted: (pod: PodKey) => Endpoint | undefined
}

interface PublishReport {
  readonly key: PodKey
  /** To be tried again. */
  readonly error?: Error | undefined
}

/** Tries of what somebody else writes at the same time. */
const TRIES = 4

/** Rejects when aborted only. */
function createPublish({self, collection, stored, wanted}: PublishPorts) {
  const unheard = createUnheard(stored)

  /** 'again': somebody else has written. */
  const write = async (
    key: PodKey,
    entry: Entry<EndpointDocument> | undefined,
    signal: AbortSignal,
  ): Promise<'done' | 'again'> => {
    const endpoint = wanted(key)
    const upon = stored(key)?.revision
    const told = entry?.value.spec
    if (!endpoint) {
      if (!entry || told!.node !== self) return 'done'
      const outcome = await collection.delete(key, entry.revision, signal)
      if (outcome === 'changed') return 'again'
      unheard.note(key, upon, undefined)
      return 'done'
    }
    // A newer pod of that name is elsewhere.
    if (entry && (isDeepStrictEqual(told, endpoint) || !mayReplace(told!, endpoint))) return 'done'
    const value = {spec: endpoint}
    const outcome = entry
      ? await collection.replace(key, value, entry.revision, signal)
      : await collection.create(key, value, signal)
    if (typeof outcome !== 'object') return 'again'
    unheard.note(key, upon, outcome)
    return 'done'
  }

  return async (key: PodKey, signal: AbortSignal): Promise<PublishReport> => {
    try {
      let entry = unheard.current(key)
      for (let n = 0; n < TRIES; n++) {
        if ((await write(key, entry, signal)) === 'done') return {key}
        entry = await collection.read(key, signal)
      }
      throw new StoreError('busy', `what is told of pod ${key} is written by somebody else all the time`)
    } catch (error) {
      signal.throwIfAborted()
      unheard.forget(key)
      return {key, error: error as Error}
    }
  }
}

export interface Publishing {
  /** Of pods about which there may be something new to tell. */
  readonly publish: OperatorFunction<PodKey, unknown>
  /** Why a pod is not told of. */
  readonly troubles: ReadonlyMap<PodKey, string>
  /** Why it will not be until somebody does something: whoever looks at the pod is to see it there. */
  readonly lasting: ReadonlyMap<PodKey, string>
}

export interface PublishingPorts extends Pick<PublishPorts, 'self' | 'wanted'> {
  readonly store: PairStore
  /** A pod's trouble is another one than before. */
  readonly changed: (pod: PodKey) => void
  readonly log: Logger
}

/** Milliseconds. */
const RETRY = {baseMs: 50, capMs: 30_000} as const

export function publishing({self, store, wanted, changed, log}: PublishingPorts): Publishing {
  const troubles = new Map<PodKey, string>()
  const lasting = new Map<PodKey, string>()
  const publish = createPublish({self, collection: store.endpoints, stored: key => store.endpoint(key), wanted})

  const hear = ({key, error}: PublishReport): void => {
    const reason = error?.message
    const known = troubles.get(key)
    const lasts = error instanceof StoreError && !error.retryable
    if (reason !== undefined && lasts) lasting.set(key, reason)
    else lasting.delete(key)
    if (reason === known) return
    if (reason === undefined) troubles.delete(key)
    else {
      troubles.set(key, reason)
      log.warn('what a pod says of its pairs cannot be told to the other nodes; trying again', {pod: key, reason})
    }
    changed(key)
  }

  return {
    troubles,
    lasting,
    publish: pipe(
      // What the store has already need not be written: once that is known all pods are looked at again.
      filter(() => store.isReady),
      coalesceByKey<PodKey, PublishReport>(publish, {
        failed: ({error}) => error !== undefined,
        over: ({key, error}) => error === undefined && wanted(key) === undefined,
        onThrow: error => ({key: '', error: error as Error}),
        backoff: RETRY,
      }),
      tap(hear),
    ),
  }
}
