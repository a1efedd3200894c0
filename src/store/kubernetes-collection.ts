/** Documents as custom resources of netgraft.dev. */
import {quoted} from '../model/errors.ts'
import {type Collection, type Document, type Entry, type Kind, type Revision, StoreError} from '../model/store.ts'

import {checkKey, encode, isKey, understand, unusable} from './document.ts'
import {collect, type ObjectReader, objectStream, type StreamEars, type Tell} from './entries.ts'
import {type Asked, askKube, type KubeObject, type KubePort, listKube, notServed} from './kubernetes-api.ts'

export const GROUP = 'netgraft.dev'
export const VERSION = 'v1alpha1'

export interface KubeCollectionOptions {
  readonly kube: KubePort
  readonly deadlineMs: number
  readonly ears: StreamEars & {readonly tell: Tell}
}

const WHERE = 'the API server'

export function kubeCollection<D extends Document>(
  kind: Kind<D>,
  {kube, deadlineMs, ears}: KubeCollectionOptions,
): Collection<D> {
  const {plural, namespaced} = kind
  const reader = objectReader(kind)
  const transport = kube.listWatch({group: GROUP, version: VERSION, resource: plural})

  const placeOf = (key: string): {collection: string; name: string; namespace?: string} => {
    checkKey(kind, key)
    const base = `/apis/${GROUP}/${VERSION}`
    if (!namespaced) return {collection: `${base}/${plural}`, name: key}
    const [namespace, name] = key.split('/') as [string, string]
    return {collection: `${base}/namespaces/${namespace}/${plural}`, name, namespace}
  }
  const ask = (asked: Omit<Asked, 'deadlineMs'>) => askKube(kube, {...asked, deadlineMs})

  const entry = (key: string, object: KubeObject): Entry<D> => {
    try {
      return entryOf(kind, key, object)
    } catch (cause) {
      throw unusable(kind, key, WHERE, cause)
    }
  }

  return {
    create: async (key, value, signal) => {
      const {collection: path, ...metadata} = placeOf(key)
      const {spec, status} = bounded(kind, key, value)
      const body = {apiVersion: `${GROUP}/${VERSION}`, kind: kind.kind, metadata, spec, ...(status && {status})}
      const answer = await ask({method: 'POST', path, body, signal})
      if (typeof answer === 'object') return entry(key, answer)
      if (answer === 'exists') return 'exists'
      if (answer === 'absent') throw notServed(path)
      throw new StoreError('busy', `${WHERE} could not do POST ${path} beside what else it is doing: try again`)
    },
    read: async (key, signal) => {
      const {collection, name} = placeOf(key)
      const answer = await ask({method: 'GET', path: `${collection}/${name}`, signal})
      return typeof answer === 'object' ? entry(key, answer) : undefined
    },
    replace: async (key, value, revision, signal) => {
      const {collection, name} = placeOf(key)
      const {spec, status = {}} = bounded(kind, key, value)
      // What others have put into the metadata stays. A test of the revision would fail as an invalid patch instead.
      const body = [
        {op: 'add', path: '/metadata/resourceVersion', value: revision},
        {op: 'add', path: '/spec', value: spec},
        {op: 'add', path: '/status', value: status},
      ]
      const contentType = 'application/json-patch+json'
      const answer = await ask({method: 'PATCH', path: `${collection}/${name}`, body, contentType, signal})
      if (typeof answer === 'object') return entry(key, answer)
      return answer === 'absent' ? 'gone' : 'changed'
    },
    delete: async (key, revision, signal) => {
      const {collection, name} = placeOf(key)
      const body = {apiVersion: 'v1', kind: 'DeleteOptions', preconditions: {resourceVersion: revision}}
      const answer = await ask({method: 'DELETE', path: `${collection}/${name}`, body, signal})
      if (typeof answer === 'object') return 'deleted'
      return answer === 'absent' ? 'gone' : 'changed'
    },
    list: async signal => {
      const {items, take} = collect(plural, reader, ears.tell)
      const path = `/apis/${GROUP}/${VERSION}/${plural}`
      await listKube(transport, {path, take, deadlineMs, signal})
      return items
    },
    entries$: objectStream(plural, transport, reader, ears),
  }
}

/** As it is kept: without what JSON does not know. Throws StoreError. */
const bounded = (kind: Kind<Document>, key: string, value: Document): Document => JSON.parse(encode(kind, key, value))

const keyText = (object: unknown): string => {
  const {namespace, name} = Object(Object(object).metadata)
  return typeof namespace === 'string' ? `${namespace}/${name}` : `${name}`
}

const entryOf = <D extends Document>(kind: Kind<D>, key: string, object: KubeObject): Entry<D> => ({
  key,
  value: understand(kind, object),
  revision: object.metadata.resourceVersion as Revision,
})

const objectReader = <D extends Document>(kind: Kind<D>): ObjectReader<Entry<D>> => ({
  keyText,
  key: object => {
    const key = keyText(object)
    if (!isKey(kind, key)) throw new TypeError(`${quoted(key)} cannot be a key here`)
    return key
  },
  project: object => entryOf(kind, keyText(object), object as KubeObject),
  equal: (a, b) => a.revision === b.revision,
})
