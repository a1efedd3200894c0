/** What a write means: names, versions, generations, finalizers, the status apart, and what hangs on CRDs and namespaces. */
import {randomInt, randomUUID} from 'node:crypto'
import {isDeepStrictEqual} from 'node:util'
import {decode} from './decode.ts'
import {alreadyExists, badRequest, conflict, forbidden, invalid, noSuchPath, notFound} from './errors.ts'
import {dig, type Fields, type KubeObject, type ObjectMeta, without} from './objects.ts'
import {boundTo, gracePeriod} from './pods.ts'
import {CRDS, groupVersion, type Place, Registry, type Resource, resourceOf, servesStatus} from './resources.ts'
import {keyOf, Store, type Stored} from './store.ts'

export interface WriteOptions {
  /** Do everything but the write. `dryRun=All`. */
  readonly dryRun?: boolean
}

/** meta/v1 DeleteOptions, as far as they are honoured. */
export interface DeleteOptions extends WriteOptions {
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
  /** @default the pod's own */
  readonly gracePeriodSeconds?: number | undefined
}

const NAMESPACES = 'namespaces'

export class Cluster {
  readonly registry = new Registry()
  readonly store: Store
  readonly #now: () => number
  readonly #gracefulPods: boolean
  /** A resource is no longer served. */
  onResourceRemoved: (id: string) => void = () => {}

  constructor(options: {historySize: number; now: () => number; gracefulPods: boolean}) {
    this.store = new Store(options.historySize)
    this.#now = options.now
    this.#gracefulPods = options.gracefulPods
    const resource = this.registry.named(NAMESPACES)!
    for (const name of ['default', 'kube-system']) this.create({resource, version: 'v1'}, {metadata: {name}})
  }

  get(place: Place): Stored {
    const stored = this.store.get(place.resource.id, keyOf(place.namespace, place.name!))
    if (!stored) throw notFound(place.resource, place.name!)
    return stored
  }

  create(place: Place, body: unknown, options: WriteOptions = {}): Stored {
    const {resource} = place
    const draft = decode(place, body)
    const {generateName} = draft.metadata
    if (draft.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
    const name = draft.metadata.name || (generateName && `${generateName.slice(0, 58)}${randomSuffix()}`)
    if (!name) throw invalid(resource.kind, '', 'metadata.name: Required value: name or generateName is required')
    if (name.length > 253 || !NAME.test(name))
      throw invalid(resource.kind, name, `metadata.name: Invalid value: "${name}": ${NAME_RULE}`)
    if (place.namespace && !this.store.get(NAMESPACES, place.namespace))
      throw notFound(this.registry.named(NAMESPACES)!, place.namespace)
    const key = keyOf(place.namespace, name)
    if (this.store.get(resource.id, key)) throw alreadyExists(resource, name)
    const metadata: ObjectMeta = {
      ...ownedByClient(draft.metadata),
      name,
      ...(place.namespace && {namespace: place.namespace}),
      uid: randomUUID(),
      ...(resource.generation && {generation: 1}),
      creationTimestamp: this.#time(),
    }
    const object = withFirstStatus(resource, place.version, {...draft, metadata}, this.#time())
    return this.#write(resource, key, object, options)
  }

  update(place: Place, body: unknown, options: WriteOptions = {}): Stored {
    const old = this.get(place)
    const draft = decode(place, body)
    if (!draft.metadata.resourceVersion && !place.resource.unconditionalUpdate)
      throw this.#invalid(place, 'metadata.resourceVersion: Invalid value: 0x0: must be specified for an update')
    return this.#replace(place, old, draft, options)
  }

  /** `change` makes the new object of the old one. */
  patch(place: Place, change: (old: KubeObject) => unknown, options: WriteOptions = {}): Stored {
    const old = this.get(place)
    const apiVersion = groupVersion(place.resource.group, place.version)
    return this.#replace(place, old, decode(place, change({...old.object, apiVersion})), options)
  }

  /** What a scheduler does. */
  bind(place: Place, body: unknown, options: WriteOptions = {}): Stored {
    const old = this.get(place)
    return this.#write(place.resource, old.key, boundTo(place.resource, old.object, body, this.#time()), options)
  }

  /** Returns the object as it was at the end, or, if finalizers or its node hold it, as it stays. */
  delete(place: Place, options: DeleteOptions = {}): {gone: boolean; stored: Stored} {
    const {resource} = place
    const old = this.get(place)
    const {metadata} = old.object
    for (const [field, shown] of PRECONDITIONS) {
      const wanted = options[field]
      if (wanted !== undefined && wanted !== metadata[field])
        throw conflict(
          resource,
          metadata.name,
          `Precondition failed: ${shown} in precondition: ${wanted}, ${shown} in object meta: ${metadata[field]}`,
        )
    }
    if (resource.id === NAMESPACES && KEPT.has(metadata.name))
      throw forbidden(resource, metadata.name, 'this namespace may not be deleted')
    const isPod = resource.id === 'pods'
    const seconds = isPod && this.#gracefulPods ? gracePeriod(old.object, options.gracePeriodSeconds) : 0
    if (seconds === 0 && !metadata.finalizers?.length) return {gone: true, stored: this.#remove(resource, old, options)}
    if (metadata.deletionTimestamp && seconds >= (metadata.deletionGracePeriodSeconds ?? 0))
      return {gone: false, stored: old}
    const marked = {
      ...metadata,
      ...(resource.generation && {generation: (metadata.generation ?? 0) + 1}),
      deletionTimestamp: this.#time(seconds),
      deletionGracePeriodSeconds: seconds,
    }
    return {gone: false, stored: this.#write(resource, old.key, {...old.object, metadata: marked}, options)}
  }

  #replace(place: Place, old: Stored, draft: KubeObject, options: WriteOptions): Stored {
    const {resource} = place
    const was = old.object.metadata
    const {name, uid, resourceVersion} = draft.metadata
    if (!name)
      throw badRequest(`the name of the object (${place.name} based on URL) was undeterminable: name must be provided`)
    if (name !== place.name)
      throw badRequest(`the name of the object (${name}) does not match the name on the URL (${place.name})`)
    if (uid && uid !== was.uid)
      throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${was.uid}`)
    if (resourceVersion && resourceVersion !== was.resourceVersion) throw conflict(resource, name)
    const changed = place.status
      ? withStatusWritten(resource, old.object, draft)
      : this.#merged(place, old.object, draft)
    const next = {...changed, apiVersion: old.object.apiVersion}
    if (isDeepStrictEqual(next, old.object)) return old
    const released = next.metadata.deletionGracePeriodSeconds === 0 && !next.metadata.finalizers?.length
    return released ? this.#remove(resource, old, options) : this.#write(resource, old.key, next, options)
  }

  /** The draft with what is the server's: identity and times from the old object, its status where that is apart. */
  #merged({resource, version}: Place, old: KubeObject, draft: KubeObject): KubeObject {
    const was = old.metadata
    const next: KubeObject = servesStatus(resource, version) ? withStatusOf(draft, old) : {...draft}
    next.metadata = {...ownedByClient(draft.metadata), name: was.name}
    for (const field of SERVERS) if (was[field] !== undefined) Object.assign(next.metadata, {[field]: was[field]})
    const told = (object: KubeObject) => without(object, 'metadata', 'status', 'apiVersion')
    if (resource.generation && !isDeepStrictEqual(told(next), told(old)))
      next.metadata.generation = (was.generation ?? 0) + 1
    return next
  }

  #write(resource: Resource, key: string, object: KubeObject, {dryRun}: WriteOptions): Stored {
    const stored = {...object, apiVersion: groupVersion(resource.group, resource.storage), kind: resource.kind}
    const served = resource.id === CRDS ? resourceOf(stored) : undefined
    // The definition may have gone while the body was read.
    if (!this.registry.named(resource.id)) throw noSuchPath()
    if (dryRun) return {key, object: stored, json: JSON.stringify(stored)}
    const written = this.store.write(resource.id, key, stored)
    if (served) this.registry.set(served)
    return written
  }

  #remove(resource: Resource, old: Stored, {dryRun}: WriteOptions): Stored {
    if (dryRun) return old
    const {name} = old.object.metadata
    // The real server does this with finalizers of its own; here nobody can look in between.
    if (resource.id === CRDS) this.#clear(name, '')
    if (resource.id === NAMESPACES)
      for (const kind of this.registry.all()) if (kind.namespaced) this.#clear(kind.id, `${name}/`)
    const removed = this.store.write(resource.id, old.key, undefined)
    if (resource.id === CRDS) {
      this.registry.delete(name)
      this.onResourceRemoved(name)
    }
    return removed
  }

  /** Removes everything whose key begins so, finalizers or not: what it lived in is going. */
  #clear(resource: string, prefix: string): void {
    for (const {key} of this.store.list(resource))
      if (key.startsWith(prefix)) this.store.write(resource, key, undefined)
  }

  #invalid({resource, name}: Place, problem: string) {
    return invalid(resource.group ? `${resource.kind}.${resource.group}` : resource.kind, name!, problem)
  }

  /** So many seconds from now. RFC 3339 in whole seconds, as metav1.Time. */
  #time(seconds = 0): string {
    return new Date(this.#now() + seconds * 1000).toISOString().replace(/\.\d+/, '')
  }
}

/** RFC 1123, subdomain. The rule's text is k8s.io/apimachinery's. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const NAME_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  `'${NAME.source.slice(1, -1)}')`

const KEPT: ReadonlySet<string> = new Set(['default', 'kube-system'])
const PRECONDITIONS = [
  ['uid', 'UID'],
  ['resourceVersion', 'ResourceVersion'],
] as const

/** The fields of metadata that only the server writes. */
const SERVERS = [
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const

const ownedByClient = (metadata: ObjectMeta): ObjectMeta => without(metadata, ...SERVERS, 'managedFields', 'selfLink')

/** Without the vowels and look-alikes, as the real one's (k8s.io/apimachinery/pkg/util/rand). */
const randomSuffix = (): string => Array.from({length: 5}, () => 'bcdfghjklmnpqrstvwxz2456789'[randomInt(27)]).join('')

function withStatusOf(object: KubeObject, source: KubeObject): KubeObject {
  return 'status' in source ? {...object, status: source.status!} : without(object, 'status')
}

/**
 * What a write of the status changes. Of a built-in kind also what people and agents write into its metadata, as with the
 * real server: network-status is such a write. Of custom kinds and their definitions nothing else.
 */
function withStatusWritten(resource: Resource, old: KubeObject, draft: KubeObject): KubeObject {
  const next = withStatusOf(old, draft)
  if (resource.custom || resource.id === CRDS) return next
  const metadata = without(old.metadata, ...FREE)
  for (const field of FREE)
    if (draft.metadata[field] !== undefined) Object.assign(metadata, {[field]: draft.metadata[field]})
  return {...next, metadata}
}

const FREE = ['labels', 'annotations', 'finalizers'] as const

/** The status that an object is born with. A Node keeps its own: the kubelet registers with it. */
function withFirstStatus(resource: Resource, version: string, object: KubeObject, now: string): KubeObject {
  if (resource.id === 'nodes') return object
  if (resource.id === 'pods') return {...object, status: {phase: 'Pending', qosClass: 'BestEffort'}}
  if (resource.id === NAMESPACES) return {...object, status: {phase: 'Active'}}
  if (resource.id === CRDS) return {...object, status: established(object, now)}
  return servesStatus(resource, version) ? without(object, 'status') : object
}

/** What `kubectl wait --for=condition=Established` looks at. */
function established(crd: KubeObject, now: string): Fields {
  const condition = (type: string, reason: string) => ({type, status: 'True', reason, lastTransitionTime: now})
  return {
    acceptedNames: dig(crd.spec, 'names'),
    storedVersions: [resourceOf(crd).storage],
    conditions: [condition('NamesAccepted', 'NoConflicts'), condition('Established', 'InitialNamesAccepted')],
  }
}
