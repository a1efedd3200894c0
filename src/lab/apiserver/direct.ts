/** The HTTP verbs as plain synchronous calls, for tests and the lab. */
import type {Cluster} from './cluster.ts'
import {badRequest} from './errors.ts'
import type {KubeObject, ObjectMeta} from './objects.ts'
import {mergePatch} from './patch.ts'
import type {Place, Resource} from './resources.ts'
import {keyOf, type Stored} from './store.ts'

/** What names an object in direct calls. */
export interface ObjectRef {
  /** "nodes", "pairs.netgraft.dev", or a short name. */
  readonly resource: string
  readonly namespace?: string
  readonly name: string
  /** The /status subresource. */
  readonly status?: boolean
}

/** An object that is to be created: the server fills in the rest. */
export type NewObject = Omit<KubeObject, 'metadata'> & {
  apiVersion: string
  kind: string
  metadata: Partial<ObjectMeta>
}

/** They mean what the HTTP verbs mean, and throw {@link ApiError}. What is returned is the caller's own copy. */
export interface DirectCalls {
  create(object: NewObject): KubeObject
  /** Like PUT; with `status`, like PUT on /status. */
  update(object: NewObject, options?: {status?: boolean}): KubeObject
  /** RFC 7386. */
  patch(ref: ObjectRef, mergePatch: object): KubeObject
  /** Throws a 404 {@link ApiError} when there is none. */
  delete(ref: ObjectRef): void
  get(ref: ObjectRef): KubeObject | undefined
  list(resource: string, namespace?: string): KubeObject[]
}

export function directCalls(cluster: Cluster): DirectCalls {
  const {store, registry} = cluster
  // By way of JSON, which drops what is undefined, as the way over HTTP does.
  const bodyOf = (object: object) => JSON.parse(JSON.stringify(object))
  const copyOf = (stored: Stored) => JSON.parse(stored.json) as KubeObject
  const placeOfObject = (object: NewObject): Place => {
    const resource = registry.byKind(object.apiVersion, object.kind)
    if (!resource) throw badRequest(`no matches for kind "${object.kind}" in version "${object.apiVersion}"`)
    const version = object.apiVersion.split('/').at(-1)!
    const {name, namespace = 'default'} = object.metadata
    return {resource, version, name, ...(resource.namespaced && {namespace})}
  }
  const named = (text: string): Resource => {
    const resource = registry.named(text)
    if (!resource) throw badRequest(`the server doesn't have a resource type "${text}"`)
    return resource
  }
  const placeOf = ({resource: text, namespace = 'default', name, status = false}: ObjectRef): Place => {
    const resource = named(text)
    return {resource, version: resource.storage, name, status, ...(resource.namespaced && {namespace})}
  }
  return {
    create: (object: NewObject) => copyOf(cluster.create(placeOfObject(object), bodyOf(object))),
    update: (object: NewObject, {status = false} = {}) =>
      copyOf(cluster.update({...placeOfObject(object), status}, bodyOf(object))),
    patch: (ref: ObjectRef, patch: object) =>
      copyOf(cluster.patch(placeOf(ref), old => mergePatch(old, bodyOf(patch)))),
    delete: (ref: ObjectRef) => void cluster.delete(placeOf(ref)),
    get: (ref: ObjectRef) => {
      const {resource, namespace} = placeOf(ref)
      const stored = store.get(resource.id, keyOf(namespace, ref.name))
      return stored && copyOf(stored)
    },
    list: (text: string, namespace?: string) => {
      const all = store.list(named(text).id).map(copyOf)
      return namespace === undefined ? all : all.filter(object => object.metadata.namespace === namespace)
    },
  }
}
