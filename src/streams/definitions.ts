/** Network definitions: k8s.cni.cncf.io's and kaloom.com's, as facts of one kind. */
import {type Observable, ReplaySubject, share} from 'rxjs'
import type {Definition, DefinitionKind} from '../model/attachment.ts'
import type {ListWatchTransport} from './list-watch.ts'
import {type ReflectOptions, reflect} from './reflector.ts'
import type {View} from './view.ts'

/** Where each kind is served. */
export const DEFINITIONS = {
  NetworkAttachmentDefinition: {
    group: 'k8s.cni.cncf.io',
    version: 'v1',
    resource: 'network-attachment-definitions',
  },
  Network: {group: 'kaloom.com', version: 'v1', resource: 'networks'},
} as const satisfies Record<DefinitionKind, object>

export type DefinitionStreamOptions = Omit<ReflectOptions<Definition>, 'what' | 'project' | 'key' | 'equal'>

/** By "namespace/name". Read once for all subscribers; `items` is live, as the reflector's. */
export function definitionStream(
  kind: DefinitionKind,
  transport: ListWatchTransport,
  options: DefinitionStreamOptions = {},
): Observable<View<string, Definition>> {
  const what = {
    what: DEFINITIONS[kind].resource,
    project: (object: unknown) => projectDefinition(kind, object),
    equal: equalDefinitions,
  }
  return reflect<Definition>(transport, {...options, ...what}).pipe(share({connector: () => new ReplaySubject(1)}))
}

/** Of a pod that is given a device. */
const RESOURCE_NAME = 'k8s.v1.cni.cncf.io/resourceName'

/**
 * Throws TypeError where it is none. Of a Network, `plugin` becomes the config's type, which a `type` of its own goes
 * before. What is no JSON stays as it is, and is refused where somebody wants to use it.
 */
export function projectDefinition(kind: DefinitionKind, object: unknown): Definition {
  const {metadata, spec} = object as DefinitionObject
  const {namespace, name, annotations} = metadata
  const resourceName = annotations?.[RESOURCE_NAME]
  const config = typeof spec?.config === 'string' ? spec.config : ''
  return {
    kind,
    namespace,
    name,
    config: kind === 'Network' ? withType(config, spec?.plugin) : config,
    ...(typeof resourceName === 'string' && resourceName !== '' && {resourceName}),
  }
}

function withType(config: string, plugin: unknown): string {
  if (typeof plugin !== 'string' || plugin === '') return config
  try {
    const whole: unknown = config.trim() === '' ? {} : JSON.parse(config)
    const parsed: unknown = Array.isArray(whole) && whole.length === 1 ? whole[0] : whole
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return config
    return JSON.stringify({type: plugin, ...parsed})
  } catch {
    return config
  }
}

interface DefinitionObject {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly annotations?: Readonly<Record<string, unknown>> | null
  }
  readonly spec?: {readonly config?: unknown; readonly plugin?: unknown} | null
}

const equalDefinitions = (a: Definition, b: Definition): boolean =>
  a.config === b.config && a.resourceName === b.resourceName
