/** The store without a server: for tests of what uses it. */
import {randomUUID} from 'node:crypto'
import {setImmediate as nextTurn} from 'node:timers/promises'
import {type Collection, type Document, type Kind, type Owner, type Store, StoreError} from '../model/store.ts'
import {ApiError, type ListWatchTransport, type WatchEvent} from '../streams/list-watch.ts'
import {checkKey, checkOwner, encode, unusable} from './document.ts'
import {collect, collections, objectStream, once} from './entries.ts'
import type {MemoryServer} from './memory-server.ts'
import type {StoreOptions} from './options.ts'
import {ownership, type Renewal} from './ownership.ts'
import {entryOf, ownerReader, type TextObject, textReader} from './text.ts'

const OWNERS = 'owners'
const WHERE = 'the store in memory'

export interface MemoryStore extends Store {
  /** While it is set the server cannot be reached: calls fail, watches end. */
  cut: boolean
}

/** Several of one server are as several nodes. */
export function openMemoryStore(server: MemoryServer, options: StoreOptions = {}): MemoryStore {
  const tell = once(options.tell)
  const ears = {tell, notice: options.notice, heard: options.heard, server: WHERE}
  let cut = false
  let closed = false

  /** What is done is done at once, some time later. */
  const call = async <T>(signal: AbortSignal, work: () => T): Promise<T> => {
    signal.throwIfAborted()
    await nextTurn()
    signal.throwIfAborted()
    if (closed) throw new StoreError('closed', `${WHERE} has been closed by ourselves`)
    if (cut) throw new StoreError('unreachable', `${WHERE} is cut off: mend it`)
    return work()
  }

  const transport = (collection: string): ListWatchTransport => {
    const read = <T>(signal: AbortSignal, work: () => T): Promise<T> =>
      call(signal, work).catch(cause => {
        signal.throwIfAborted()
        throw new ApiError('EUNREACHABLE', cause.message, {cause})
      })
    return {
      list: (_query, take, signal) =>
        read(signal, () => {
          for (const object of server.items(collection).values()) take(object)
          return {resourceVersion: `${server.revision}`}
        }),
      async *watch({sendInitialEvents, resourceVersion}, signal): AsyncGenerator<WatchEvent> {
        if (sendInitialEvents) throw new ApiError('ESTATUS', `${WHERE} has no streaming lists`, {status: 400})
        for (let from = Number(resourceVersion); ; ) {
          const changes = await read(signal, () => server.since(collection, from))
          if (!changes) throw new ApiError('ESTATUS', `${WHERE} has forgotten its past`, {status: 410})
          const at = performance.now()
          for (const {object, gone} of changes) yield {type: gone ? 'DELETED' : 'MODIFIED', object, at}
          from = changes.at(-1)?.revision ?? from
          if (changes.length === 0) await server.changed(signal)
        }
      },
    }
  }

  const open = <D extends Document>(kind: Kind<D>): Collection<D> => {
    const {plural} = kind
    const reader = textReader(kind)
    const keyed = <T>(key: string, signal: AbortSignal, work: (known: TextObject | undefined) => T): Promise<T> =>
      call(signal, () => {
        checkKey(kind, key)
        return work(server.items(plural).get(key))
      })
    const write = (key: string, value: D) => entryOf(kind, server.put(plural, key, encode(kind, key, value)))
    const standsAt = (known: TextObject | undefined, revision: string) =>
      known === undefined ? 'gone' : known.metadata.resourceVersion === revision ? 'here' : 'changed'
    return {
      create: (key, value, signal) => keyed(key, signal, known => (known ? 'exists' : write(key, value))),
      read: (key, signal) =>
        keyed(key, signal, known => {
          try {
            return known && entryOf(kind, known)
          } catch (cause) {
            throw unusable(kind, key, WHERE, cause)
          }
        }),
      replace: (key, value, revision, signal) =>
        keyed(key, signal, known => {
          const stands = standsAt(known, revision)
          return stands === 'here' ? write(key, value) : stands
        }),
      delete: (key, revision, signal) =>
        keyed(key, signal, known => {
          const stands = standsAt(known, revision)
          if (stands !== 'here') return stands
          server.put(plural, key, undefined)
          return 'deleted'
        }),
      list: signal =>
        call(signal, () => {
          const {items, take} = collect(plural, reader, tell)
          for (const object of server.items(plural).values()) take(object)
          return items
        }),
      entries$: objectStream(plural, transport(plural), reader, ears),
    }
  }

  const sign = (name: string, ttlMs: number) => () => {
    const instance = randomUUID()
    let shown = false
    return (_deadlineMs: number, signal: AbortSignal) =>
      call(signal, (): Renewal => {
        const there = server.items(OWNERS).get(name)
        const mine = there?.text === instance
        if (there && !mine && shown) return 'taken'
        shown = true
        if (mine) server.prolong(OWNERS, name, ttlMs)
        else server.put(OWNERS, name, instance, ttlMs)
        return mine ? 'kept' : 'anew'
      })
  }

  return {
    collection: collections(open),
    own: (name, {ttlMs}) => {
      checkOwner(name)
      return ownership(sign(name, ttlMs), ttlMs)
    },
    owners$: objectStream<Owner>(OWNERS, transport(OWNERS), ownerReader, ears),
    signs: signal => call(signal, () => new Set(server.items(OWNERS).keys())),
    disown: (name, signal) =>
      call(signal, () => {
        if (server.items(OWNERS).has(name)) server.put(OWNERS, name, undefined)
      }),
    close: async () => {
      closed = true
      server.wake()
    },
    get cut() {
      return cut
    },
    set cut(value) {
      cut = value
      server.wake()
    },
  }
}
