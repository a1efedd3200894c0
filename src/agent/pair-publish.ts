/** Tells the other nodes of this node's pods, through the store: level-triggered, one pod at a time. */
import {isDeepStrictEqual} from 'node:util'
import type {NodeName} from '../model/facts.ts'
import type {Endpoint} from '../model/pair.ts'
import {type Collection, type Entry, type Revision, StoreError} from '../model/store.ts'
import {type EndpointDocument, mayReplace} from '../pairs/documents.ts'
import type {PodKey} from '../streams/pods.ts'

export interface PublishPorts {
  readonly self: NodeName
  readonly collection: Collection<EndpointDocument>
  /** As the store's stream has told last. */
  readonly stored: (pod: PodKey) => Entry<EndpointDocument> | undefined
  /** What is to be told now. undefined: there is nothing. */
  readonly wanted: (pod: PodKey) => Endpoint | undefined
}

export interface PublishReport {
  readonly key: PodKey
  /** To be tried again. */
  readonly error?: Error | undefined
}

/** What was written, and upon what, until the store's stream has told of it. */
interface Written {
  readonly upon: Revision | undefined
  readonly entry: Entry<EndpointDocument> | undefined
}

/** Tries of what somebody else writes at the same time. */
const TRIES = 4

/** Rejects when aborted only. */
export function createPublish({self, collection, stored, wanted}: PublishPorts) {
  const written = new Map<PodKey, Written>()

  const current = (key: PodKey): Entry<EndpointDocument> | undefined => {
    const told = stored(key)
    const mine = written.get(key)
    if (mine && mine.upon === told?.revision) return mine.entry
    written.delete(key)
    return told
  }

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
      written.set(key, {upon, entry: undefined})
      return 'done'
    }
    // A newer pod of that name is elsewhere.
    if (entry && (isDeepStrictEqual(told, endpoint) || !mayReplace(told!, endpoint))) return 'done'
    const value = {spec: endpoint}
    const outcome = entry
      ? await collection.replace(key, value, entry.revision, signal)
      : await collection.create(key, value, signal)
    if (typeof outcome !== 'object') return 'again'
    written.set(key, {upon, entry: outcome})
    return 'done'
  }

  return async (key: PodKey, signal: AbortSignal): Promise<PublishReport> => {
    try {
      let entry = current(key)
      for (let n = 0; n < TRIES; n++) {
        if ((await write(key, entry, signal)) === 'done') return {key}
        entry = await collection.read(key, signal)
      }
      throw new StoreError('busy', `what is told of pod ${key} is written by somebody else all the time`)
    } catch (error) {
      signal.throwIfAborted()
      written.delete(key)
      return {key, error: error as Error}
    }
  }
}
