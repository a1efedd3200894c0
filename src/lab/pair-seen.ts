/** What the lab reads of a Pair: of `kubectl get pairs` the part that it shows. Anybody may have written one. */
import {isDeepStrictEqual} from 'node:util'
import type {Observable} from 'rxjs'
import type {KubeClient} from '../kube/client.ts'
import {reflect} from '../streams/reflector.ts'
import type {View} from '../streams/view.ts'

export interface PairSeen {
  readonly ends: readonly PairEndSeen[]
  readonly state: string
  /** Empty: none yet. */
  readonly kind: string
  readonly vni: number | undefined
}

export interface PairEndSeen {
  /** "app1" in the pair's namespace, "team/app1" in another one. */
  readonly pod: string
  readonly interface: string
  /** Empty: there is no such pod. */
  readonly node: string
}

/** Throws TypeError where it is no pair. */
export function projectPair(object: unknown): PairSeen {
  const {metadata, spec, status} = object as PairObject
  return {
    ends: spec.ends.map(({namespace, pod, interface: ifname, node}) => ({
      pod: textOf(namespace === undefined || namespace === metadata.namespace ? pod : `${namespace}/${pod}`),
      interface: textOf(ifname),
      node: textOf(node),
    })),
    state: textOf(status?.state),
    kind: textOf(status?.kind),
    vni: typeof spec.vni === 'number' ? spec.vni : undefined,
  }
}

/** A terminal acts upon some of what is not printed. */
const textOf = (value: unknown): string => `${value ?? ''}`.replaceAll(/[^ -~]/g, '?')

/** Of all namespaces, by "namespace/name". */
export const pairStream = (client: KubeClient): Observable<View<string, PairSeen>> =>
  reflect<PairSeen>(client.listWatch({group: 'netgraft.dev', version: 'v1alpha1', resource: 'pairs'}), {
    what: 'pairs',
    project: projectPair,
    equal: isDeepStrictEqual,
  })

interface PairObject {
  readonly metadata: {readonly namespace: string}
  readonly spec: {
    readonly ends: readonly {
      readonly namespace?: unknown
      readonly pod: unknown
      readonly interface: unknown
      readonly node?: unknown
    }[]
    readonly vni?: unknown
  }
  readonly status?: {readonly state?: unknown; readonly kind?: unknown}
}
