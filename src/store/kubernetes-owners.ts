/**
 * Who is alive, by Leases. A clock of ours says when one has not changed for its time; another machine's clock, which
 * the Lease quotes, is never asked.
 */
import {defer, filter, map, merge, Observable, ReplaySubject, share} from 'rxjs'
import type {Owner} from '../model/store.ts'
import type {Unsynced, View} from '../model/view.ts'
import {KeptChangeLog} from '../streams/change-log.ts'
import {sleep} from '../streams/lifetime.ts'
import type {Notice} from '../streams/reflector.ts'
import {collect, objectStream, type StreamEars} from './entries.ts'
import {askKube, type KubePort, listKube} from './kubernetes-api.ts'
import {LEASE_SELECTOR, type LeaseFacts, leaseName, leaseReader, leaseResource, leasesPath} from './kubernetes-lease.ts'

export interface OwnersOptions {
  readonly kube: KubePort
  /** Of the Leases. */
  readonly namespace: string
  readonly deadlineMs: number
  readonly ears: StreamEars
}

type Owners = View<string, Owner>

export function kubeOwners({kube, namespace, deadlineMs, ears}: OwnersOptions): Observable<Owners> {
  const [transport, path] = [kube.listWatch(leaseResource(namespace)), leasesPath(namespace)]
  return defer(() => {
    const living = new Living()
    const leases$ = objectStream('owners', transport, leaseReader, ears, notice => living.notice(notice))
    const ask = async (names: ReadonlySet<string>, signal: AbortSignal) => {
      const {items, take} = collect('owners', leaseReader)
      const look = async (name: string) => {
        const lease = await askKube(kube, {method: 'GET', path: `${path}/${leaseName(name)}`, deadlineMs, signal})
        if (typeof lease === 'object') take(lease)
      }
      if (names.size <= FEW) await Promise.all([...names].map(look))
      else await listKube(transport, {path, take, deadlineMs, signal, labelSelector: LEASE_SELECTOR})
      return items
    }
    return merge(leases$.pipe(map(view => living.see(view))), watchdog(living, ask))
  }).pipe(
    filter(view => view !== undefined),
    share({connector: () => new ReplaySubject(1)}),
  )
}

/** So many are looked up one by one: when a node dies, every other one looks for it. */
const FEW = 10
/** Milliseconds. Between looks at who is overdue; between questions to a server that does not answer. */
const LOOK_MS = 1000
const LEAST_LOOK_MS = 50

/**
 * Whoever is overdue is looked up before it is called dead: our watch may have stopped without a word, and then nobody
 * would be heard of.
 */
function watchdog(
  living: Living,
  ask: (names: ReadonlySet<string>, signal: AbortSignal) => Promise<ReadonlyMap<string, LeaseFacts>>,
) {
  return new Observable<Owners>(subscriber => {
    const stop = new AbortController()
    const run = async ({signal}: AbortController): Promise<void> => {
      while (!signal.aborted) {
        const dueMs = living.dueAt() - performance.now()
        await sleep(Math.max(LEAST_LOOK_MS, Math.min(dueMs, LOOK_MS)), signal)
        const names = living.overdue()
        if (signal.aborted || names.size === 0) continue
        const view = await ask(names, signal).then(
          leases => living.judge(leases, names),
          () => living.lose(),
        )
        if (view) subscriber.next(view)
        else await sleep(LOOK_MS, signal)
      }
    }
    run(stop).catch(error => subscriber.error(error))
    return () => stop.abort()
  })
}

interface Sight {
  readonly facts: LeaseFacts
  /** When this state was seen first: `performance.now()`. */
  readonly at: number
}

class Living {
  readonly #sights = new Map<string, Sight>()
  readonly #items = new Map<string, Owner>()
  readonly #log = new KeptChangeLog<string>()
  /** Of the leases' log. */
  #mark: number | undefined
  /** Since when nothing kept the renewals from us: while the server is away nobody can renew. Infinity: something does. */
  #contact = Number.POSITIVE_INFINITY

  notice({type}: Notice): void {
    if (type === 'failed') this.lose()
    else if (type === 'listed') this.#regain()
  }

  /** undefined: nobody came or went. */
  see(view: View<string, LeaseFacts>): Unsynced | Owners | undefined {
    if (!view.synced) return view
    this.#regain()
    const mark = this.#mark
    this.#mark = view.log?.mark
    const names = mark === undefined ? undefined : view.log?.since(mark)
    const changed = this.#adopt(view.items, view.at, names && new Set(names))
    return changed || mark === undefined ? this.#view(view.at) : undefined
  }

  /** When the first one is overdue. */
  dueAt(): number {
    let due = Number.POSITIVE_INFINITY
    for (const [name, sight] of this.#sights) if (this.#items.has(name)) due = Math.min(due, this.#overdueAt(sight))
    return due
  }

  overdue(): ReadonlySet<string> {
    const now = performance.now()
    const names = new Set<string>()
    for (const [name, sight] of this.#sights)
      if (this.#items.has(name) && this.#overdueAt(sight) <= now) names.add(name)
    return names
  }

  /** What there is of these names, just read. */
  judge(leases: ReadonlyMap<string, LeaseFacts>, names: ReadonlySet<string>): Owners | undefined {
    const now = performance.now()
    this.#regain()
    let changed = this.#adopt(leases, now, names)
    for (const name of names) {
      const sight = this.#sights.get(name)
      if (!sight || this.#overdueAt(sight) > now || !this.#items.delete(name)) continue
      this.#log.add(name)
      changed = true
    }
    return changed ? this.#view(now) : undefined
  }

  lose(): undefined {
    this.#contact = Number.POSITIVE_INFINITY
  }

  #regain(): void {
    if (this.#contact === Number.POSITIVE_INFINITY) this.#contact = performance.now()
  }

  #overdueAt({facts, at}: Sight): number {
    return Math.max(at, this.#contact) + facts.ttlMs
  }

  /** True if anybody came, went or is another process now. `names`: where to look. */
  #adopt(leases: ReadonlyMap<string, LeaseFacts>, at: number, names: ReadonlySet<string> | undefined): boolean {
    let changed = false
    for (const name of names ?? new Set([...leases.keys(), ...this.#sights.keys()])) {
      const facts = leases.get(name)
      if (!facts) this.#sights.delete(name)
      else if (this.#sights.get(name)?.facts.revision === facts.revision) continue
      else this.#sights.set(name, {facts, at})
      if (this.#items.get(name)?.instance === facts?.instance) continue
      if (facts) this.#items.set(name, {instance: facts.instance})
      else this.#items.delete(name)
      this.#log.add(name)
      changed = true
    }
    return changed
  }

  #view(at: number): Owners {
    return {synced: true, items: this.#items, log: this.#log, at}
  }
}
