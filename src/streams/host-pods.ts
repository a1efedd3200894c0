/** IPv6 addresses of nodes, as the hostNetwork pods on them tell: a runtime may give those what no Node object says. */
import {concat, defer, EMPTY, mergeMap, type Observable, of, ReplaySubject, share, switchMap, timer} from 'rxjs'
import type {NodeName} from '../model/facts.ts'
import {type Ip, parseIp} from '../model/ip.ts'
import type {ListWatchTransport} from './list-watch.ts'
import {type ReflectOptions, reflect} from './reflector.ts'
import type {View} from './view.ts'

export interface HostPodOptions
  extends Omit<ReflectOptions<HostPod>, 'what' | 'project' | 'key' | 'equal' | 'labelSelector' | 'fieldSelector'> {
  /** Of the pods' labels, as in `kubectl get -l`. */
  readonly selector: string
  /**
   * Milliseconds for which the pods must be quiet until a node without any is forgotten. While a DaemonSet is updated,
   * each node is without its pod for a while, but not without its address. 0: forgotten at once. @default 600000
   */
  readonly lingerMs?: number
}

/** What is kept of a Pod. */
export interface HostPod {
  readonly node: NodeName
  readonly addresses: readonly Ip[]
}

/**
 * Addresses by node, of the pods that `transport` lists (its namespace, or all). Read once for all subscribers. `items`
 * is live, as the reflector's; there is a new View when an address has changed.
 */
export function hostPodStream(
  transport: ListWatchTransport,
  {selector, lingerMs = 600_000, ...options}: HostPodOptions,
): Observable<View<NodeName, readonly Ip[]>> {
  const what = {what: 'pods', labelSelector: selector, project: projectHostPod, equal: equalHostPods}
  return defer(() => {
    const told = new ToldAddresses()
    const update = (pods: ReadonlyMap<string, HostPod>, forget: boolean, at: number) =>
      told.update(pods, forget) ? of({synced: true as const, items: told.items, at}) : EMPTY
    return reflect<HostPod>(transport, {...options, ...what}).pipe(
      switchMap(view => {
        if (!view.synced) return of(view)
        const quiet$ = timer(lingerMs).pipe(mergeMap(() => update(view.items, true, performance.now())))
        return concat(update(view.items, lingerMs === 0, view.at), quiet$)
      }),
    )
  }).pipe(share({connector: () => new ReplaySubject(1)}))
}

/** A pod that shares its node's network, runs or is to run, and has an IPv6 address. */
export function projectHostPod(object: unknown): HostPod | undefined {
  const {spec, status} = object as PodObject
  if (spec?.hostNetwork !== true || typeof spec.nodeName !== 'string' || spec.nodeName === '') return undefined
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined
  const addresses = (status?.podIPs ?? []).map(({ip}) => parseIp(String(ip))).filter(ip => ip.family === 6)
  return addresses.length > 0 ? {node: spec.nodeName as NodeName, addresses} : undefined
}

/** Anything may be missing; what is mistyped throws, and the reflector leaves the pod out. */
interface PodObject {
  readonly spec?: {readonly hostNetwork?: unknown; readonly nodeName?: unknown}
  readonly status?: {readonly phase?: unknown; readonly podIPs?: readonly {readonly ip?: unknown}[] | null}
}

const equalHostPods = (a: HostPod, b: HostPod): boolean => a.node === b.node && sameTexts(a.addresses, b.addresses)

const sameTexts = (a: readonly Ip[], b: readonly Ip[]): boolean =>
  a === b || (a.length === b.length && a.every((ip, index) => `${ip}` === `${b[index]}`))

/** Pods folded to nodes. */
class ToldAddresses {
  readonly items = new Map<NodeName, readonly Ip[]>()
  #known = false

  /** True if anything has changed, or is known for the first time. `forget`: also nodes that no pod tells of any more. */
  update(pods: ReadonlyMap<string, HostPod>, forget: boolean): boolean {
    let changed = !this.#known
    this.#known = true
    const fresh = byNode(pods)
    for (const [node, addresses] of fresh) {
      if (sameTexts(this.items.get(node) ?? [], addresses)) continue
      this.items.set(node, addresses)
      changed = true
    }
    if (!forget) return changed
    for (const node of this.items.keys()) if (!fresh.has(node)) changed = this.items.delete(node)
    return changed
  }
}

/** Of several pods on one node the one whose name sorts first is heard first, whatever the order of events was. */
function byNode(pods: ReadonlyMap<string, HostPod>): Map<NodeName, readonly Ip[]> {
  const names = new Map<NodeName, string[]>()
  for (const [name, {node}] of pods) {
    const others = names.get(node)
    if (others) others.push(name)
    else names.set(node, [name])
  }
  const result = new Map<NodeName, readonly Ip[]>()
  for (const [node, named] of names) result.set(node, addressesOf(named.sort().map(name => pods.get(name)!)))
  return result
}

function addressesOf(pods: readonly HostPod[]): readonly Ip[] {
  if (pods.length === 1) return pods[0]!.addresses
  return [...new Map(pods.flatMap(pod => pod.addresses).map(ip => [`${ip}`, ip])).values()]
}
