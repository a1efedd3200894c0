/** Documents in etcd: each write is a transaction that asks for what it builds upon. */
import {quoted} from '../model/errors.ts'
import type {Collection, Document, Entry, Kind} from '../model/store.ts'
import {checkKey, encode, unusable} from './document.ts'
import {collect, objectStream, type StreamEars, type Tell} from './entries.ts'
import type {CallLimits, EtcdConnection, ITxnResponse} from './etcd-client.ts'
import type {EtcdLink} from './etcd-link.ts'
import type {EtcdTransport} from './etcd-transport.ts'
import {entryOf, textObject, textReader} from './text.ts'

export interface EtcdCollectionOptions {
  readonly link: EtcdLink
  /** Ends in a slash. */
  readonly prefix: string
  readonly transport: EtcdTransport
  readonly deadlineMs: number
  readonly ears: StreamEars & {readonly tell: Tell}
}

export function etcdCollection<D extends Document>(
  kind: Kind<D>,
  {link, prefix, transport, deadlineMs, ears}: EtcdCollectionOptions,
): Collection<D> {
  const {plural} = kind
  const reader = textReader(kind)

  const ask = async <T>(
    {verb, key, write}: {readonly verb: string; readonly key: string; readonly write: boolean},
    signal: AbortSignal,
    run: (etcd: EtcdConnection, key: Buffer, limits: CallLimits) => Promise<T>,
  ): Promise<T> => {
    checkKey(kind, key)
    const question = {what: `${verb} ${quoted(key)} of ${plural}`, write, deadlineMs, signal}
    return link.ask(question, (etcd, limits) => run(etcd, Buffer.from(prefix + key), limits))
  }

  const written = (key: string, text: string, answer: ITxnResponse): Entry<D> =>
    entryOf(kind, textObject(key, answer.header.revision, text))

  return {
    create: async (key, value, signal) => {
      const text = encode(kind, key, value)
      const answer = await ask({verb: 'create', key, write: true}, signal, (etcd, at, limits) =>
        etcd.txn({compare: [isAbsent(at)], success: [put(at, text)]}, limits),
      )
      return answer.succeeded ? written(key, text, answer) : 'exists'
    },
    read: async (key, signal) => {
      const {items} = await ask({verb: 'read', key, write: false}, signal, (etcd, at, limits) =>
        etcd.range({key: at}, limits),
      )
      const [item] = items
      if (!item) return undefined
      try {
        return entryOf(kind, textObject(key, item.revision, item.value.toString('utf8')))
      } catch (cause) {
        throw unusable(kind, key, link.where, cause)
      }
    },
    replace: async (key, value, revision, signal) => {
      const text = encode(kind, key, value)
      const answer = await ask({verb: 'replace', key, write: true}, signal, (etcd, at, limits) =>
        etcd.txn({compare: [isAt(at, revision)], success: [put(at, text)], failure: [look(at)]}, limits),
      )
      return answer.succeeded ? written(key, text, answer) : instead(answer)
    },
    delete: async (key, revision, signal) => {
      const answer = await ask({verb: 'delete', key, write: true}, signal, (etcd, at, limits) => {
        const success = [{request_delete_range: {key: at}}]
        return etcd.txn({compare: [isAt(at, revision)], success, failure: [look(at)]}, limits)
      })
      return answer.succeeded ? 'deleted' : instead(answer)
    },
    list: async signal => {
      const {items, take} = collect(plural, reader, ears.tell)
      await transport.listAll(take, signal)
      return items
    },
    entries$: objectStream(plural, transport, reader, ears),
  }
}

/** etcdserverpb.Compare: the numbers are EQUAL, and CREATE or MOD. */
const isAbsent = (key: Buffer) => ({key, result: 0, target: 1, create_revision: '0'}) as const
const isAt = (key: Buffer, revision: string) => ({key, result: 0, target: 2, mod_revision: revision}) as const

const put = (key: Buffer, text: string) => ({request_put: {key, value: Buffer.from(text)}})
const look = (key: Buffer) => ({request_range: {key, keys_only: true}})

/** What was there in the place of what was asked for. */
const instead = ({responses}: ITxnResponse): 'changed' | 'gone' =>
  responses[0]?.response_range?.kvs.length ? 'changed' : 'gone'
