/** What etcd has under a prefix, in the form that the reflector reads: pages of one revision, and changes after it. */
import {ApiError, type ListEnd, type ListWatchTransport, type WatchEvent} from '../streams/list-watch.ts'
import type {KeyValue} from './etcd-client.ts'
import type {Failure} from './etcd-failure.ts'
import {Compacted, type EtcdLink} from './etcd-link.ts'
import {type TextObject, textObject} from './text.ts'

export interface EtcdTransport extends ListWatchTransport {
  /** Every page. Rejects with a StoreError, where a transport's list rejects with an ApiError. */
  listAll(take: (object: unknown) => void, signal: AbortSignal): Promise<void>
}

/** Keys of one page of a whole list. */
const PAGE = 500

/** `what`: "pairs". `prefix` ends in a slash. */
export function etcdTransport(
  link: EtcdLink,
  {what, prefix, deadlineMs}: {readonly what: string; readonly prefix: string; readonly deadlineMs: number},
): EtcdTransport {
  const range = rangeOf(prefix)
  const object = (item: KeyValue): TextObject =>
    textObject(item.key.toString('utf8', range.key.length), item.revision, item.value.toString('utf8'))

  const readPage = async (
    {limit = 0, after}: {readonly limit?: number | undefined; readonly after: string | undefined},
    take: (object: unknown) => void,
    signal: AbortSignal,
  ): Promise<ListEnd> => {
    const {revision, key} = after === undefined ? {key: range.key} : parsePage(after)
    const page = {key, range_end: range.range_end, limit, ...(revision !== undefined && {revision})}
    const question = {what: `list ${what}`, deadlineMs, signal}
    const answer = await link.ask(question, (etcd, limits) => etcd.range(page, limits))
    for (const item of answer.items) take(object(item))
    const last = answer.items.at(-1)
    const at = revision ?? answer.revision
    return {resourceVersion: at, continue: answer.more && last ? pageAfter(at, last.key) : undefined}
  }

  const inReflectorsWords = (error: unknown, signal: AbortSignal): never => {
    signal.throwIfAborted()
    const cause = error instanceof Error ? error : link.explain(`watch ${what}`, error as Failure)
    if (cause instanceof Compacted) throw new ApiError('ESTATUS', cause.message, {status: 410, cause})
    throw new ApiError('EUNREACHABLE', cause.message, {cause})
  }

  return {
    listAll: async (take, signal) => {
      let after: string | undefined
      do after = (await readPage({limit: PAGE, after}, take, signal)).continue
      while (after !== undefined)
    },
    list: ({limit, continue: after}, take, signal) =>
      readPage({limit, after}, take, signal).catch(error => inReflectorsWords(error, signal)),
    async *watch({sendInitialEvents, resourceVersion}, signal): AsyncGenerator<WatchEvent> {
      if (sendInitialEvents) throw new ApiError('ESTATUS', `${link.where} has no streaming lists`, {status: 400})
      const from = `${BigInt(resourceVersion) + 1n}`
      try {
        const etcd = await link.connection()
        for await (const answer of etcd.watch({...range, from}, signal)) {
          const at = performance.now()
          if (answer.type === 'change')
            yield {type: answer.deleted ? 'DELETED' : 'MODIFIED', object: object(answer.item), at}
          else yield {type: 'BOOKMARK', object: {metadata: {resourceVersion: answer.revision}}, at}
        }
      } catch (error) {
        inReflectorsWords(error, signal)
      }
    },
  }
}

interface KeyRange {
  readonly key: Buffer
  readonly range_end: Buffer
}

/** Everything that begins so: up to what begins with the slash's successor. */
function rangeOf(prefix: string): KeyRange {
  const key = Buffer.from(prefix)
  const range_end = Buffer.from(key)
  range_end[range_end.length - 1]! += 1
  return {key, range_end}
}

/** A page begins behind the key that the one before ended with. */
const pageAfter = (revision: string, key: Buffer): string => `${revision} ${key.toString('base64')}`

function parsePage(text: string): {revision: string; key: Buffer} {
  const [revision = '', key = ''] = text.split(' ')
  return {revision, key: Buffer.concat([Buffer.from(key, 'base64'), Buffer.from([0])])}
}
