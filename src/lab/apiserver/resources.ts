/** Which resources are served: the built-in ones, and one for every CustomResourceDefinition. */
import {invalid} from './errors.ts'
import {dig, type Fields, isFields, type KubeObject} from './objects.ts'

export interface Resource {
  readonly group: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  /** "nodes", "pairs.netgraft.dev": the key of the store and the name in messages. */
  readonly id: string
  readonly custom: boolean
  /** Whether an update may leave out the resourceVersion ("last write wins"). */
  readonly unconditionalUpdate: boolean
  /** Whether `metadata.generation` is kept. */
  readonly generation: boolean
  /** The version in which objects are kept. Every other one differs in its apiVersion alone (conversion "None"). */
  readonly storage: string
  readonly versions: readonly Version[]
}

export interface Version {
  readonly name: string
  /** Whether /status is served; then writes to the main resource leave the status alone. */
  readonly status: boolean
  /** Of custom resources: `additionalPrinterColumns`; undefined when none are declared. */
  readonly columns?: readonly Column[]
}

/** apiextensions.k8s.io/v1 CustomResourceColumnDefinition. */
export interface Column {
  readonly name: string
  readonly type: string
  readonly jsonPath: string
  readonly priority: number
  readonly description: string
}

/** Where a request points: one object, or with no name a collection. */
export interface Place {
  readonly resource: Resource
  readonly version: string
  /** Undefined for a cluster-scoped resource, and for all namespaces. */
  readonly namespace?: string | undefined
  readonly name?: string | undefined
  readonly status?: boolean
  /** pods/binding. */
  readonly binding?: boolean
}

export const servesStatus = (resource: Resource, version: string): boolean =>
  resource.versions.some(v => v.name === version && v.status)

export const groupVersion = (group: string, version: string): string => (group ? `${group}/${version}` : version)

function builtin(group: string, kind: string, plural: string, more: Partial<Resource & Pick<Version, 'status'>>) {
  const {status = false, ...rest} = more
  return {
    group,
    plural,
    singular: kind.toLowerCase(),
    kind,
    shortNames: [],
    categories: [],
    namespaced: true,
    id: group ? `${plural}.${group}` : plural,
    custom: false,
    unconditionalUpdate: true,
    generation: false,
    storage: 'v1',
    versions: [{name: 'v1', status}],
    ...rest,
  } satisfies Resource
}

const BUILTIN: readonly Resource[] = [
  builtin('', 'Node', 'nodes', {shortNames: ['no'], namespaced: false, status: true, generation: true}),
  builtin('', 'Pod', 'pods', {shortNames: ['po'], categories: ['all'], status: true, generation: true}),
  builtin('', 'Namespace', 'namespaces', {shortNames: ['ns'], namespaced: false, status: true}),
  builtin('', 'ConfigMap', 'configmaps', {shortNames: ['cm']}),
  builtin('', 'Event', 'events', {shortNames: ['ev']}),
  builtin('', 'ServiceAccount', 'serviceaccounts', {shortNames: ['sa']}),
  builtin('coordination.k8s.io', 'Lease', 'leases', {unconditionalUpdate: false}),
  builtin('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions', {
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    namespaced: false,
    status: true,
    generation: true,
    unconditionalUpdate: false,
  }),
]

export const CRDS = 'customresourcedefinitions.apiextensions.k8s.io'

export class Registry {
  readonly #byId = new Map(BUILTIN.map(resource => [resource.id, resource]))

  all(): Resource[] {
    return [...this.#byId.values()]
  }

  set(resource: Resource): void {
    this.#byId.set(resource.id, resource)
  }

  delete(id: string): void {
    this.#byId.delete(id)
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    const resource = this.#byId.get(group ? `${plural}.${group}` : plural)
    return resource?.versions.some(v => v.name === version) ? resource : undefined
  }

  byKind(apiVersion: string, kind: string): Resource | undefined {
    return this.all().find(r => r.kind === kind && r.versions.some(v => groupVersion(r.group, v.name) === apiVersion))
  }

  /** By "nodes", "pairs.netgraft.dev", "pairs" or a short name. */
  named(text: string): Resource | undefined {
    return this.#byId.get(text) ?? this.all().find(r => r.plural === text || r.shortNames.includes(text))
  }
}

/** What a CustomResourceDefinition makes served. Throws a 422 for one that cannot be served. */
export function resourceOf(crd: KubeObject): Resource {
  const name = crd.metadata.name
  const refuse = (problem: string) => invalid('CustomResourceDefinition.apiextensions.k8s.io', name, problem)
  const text = (...path: string[]): string => {
    const value = dig(crd.spec, ...path)
    if (typeof value === 'string' && value !== '') return value
    throw refuse(`spec.${path.join('.')}: Required value`)
  }
  const [group, plural, kind] = [text('group'), text('names', 'plural'), text('names', 'kind')]
  if (name !== `${plural}.${group}`)
    throw refuse(`metadata.name: Invalid value: "${name}": must be spec.names.plural+"."+spec.group`)
  if (BUILTIN.some(r => r.id === name)) throw refuse(`metadata.name: Invalid value: "${name}": is built in`)
  const listed = fieldsIn(dig(crd.spec, 'versions')).filter(v => typeof v.name === 'string')
  const storage = listed.find(v => v.storage === true)
  if (!storage) throw refuse('spec.versions: Invalid value: must have exactly one version marked as storage version')
  return {
    group,
    plural,
    kind,
    singular: String(dig(crd.spec, 'names', 'singular') ?? kind.toLowerCase()),
    shortNames: textsIn(dig(crd.spec, 'names', 'shortNames')),
    categories: textsIn(dig(crd.spec, 'names', 'categories')),
    namespaced: text('scope') === 'Namespaced',
    id: name,
    custom: true,
    unconditionalUpdate: false,
    generation: true,
    storage: storage.name as string,
    versions: listed.filter(v => v.served === true).map(versionOf),
  }
}

function versionOf(version: Fields): Version {
  const columns = fieldsIn(version.additionalPrinterColumns).map(c => ({
    name: String(c.name),
    type: String(c.type),
    jsonPath: String(c.jsonPath),
    priority: Number(c.priority ?? 0) || 0,
    description: String(c.description ?? ''),
  }))
  return {
    name: version.name as string,
    status: isFields(dig(version, 'subresources', 'status')),
    ...(columns.length > 0 && {columns}),
  }
}

const fieldsIn = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : [])
const textsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
