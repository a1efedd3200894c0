/** Takes and gives back VNIs: this node's part of what all nodes agree upon in the store. */
import {isDeepStrictEqual} from 'node:util'
import {filter, type OperatorFunction, pipe, tap} from 'rxjs'
import type {NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {VniClaim} from '../model/pair.ts'
import type {Collection, Entry, Revision} from '../model/store.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {VniDocument} from '../pairs/documents.ts'
import {shortageOf, type VniRange, type VniReturn, type VniWish, wantedVnis} from '../pairs/vnis.ts'
import {coalesce} from '../streams/coalesce.ts'
import type {PairFacts} from './pair-facts.ts'
import type {PairStore} from './pair-store.ts'

export interface VniPorts {
  readonly facts: PairFacts
  readonly self: NodeName
  readonly range: VniRange
  readonly collection: Collection<VniDocument>
  /** As the store's stream has told last. */
  readonly stored: (key: string) => Entry<VniDocument> | undefined
  /** It has just been made or given back. */
  readonly note: (vni: number, claim: VniClaim | undefined) => void
}

export interface VniReport {
  readonly taken: number
  readonly givenBack: number
  /** What the first one met. To be tried again. */
  readonly error?: Error | undefined
  /** Milliseconds. */
  readonly ms: number
}

/** All that is due at this moment. Rejects when aborted only. */
export function createVniPass({facts, self, range, collection, stored, note}: VniPorts) {
  const revisionOf = (vni: number) => stored(`${vni}`)?.revision
  /** Once the store's stream has told of it since, it knows more: somebody else may have taken it again. */
  const noteUnless = (vni: number, before: Revision | undefined, claim: VniClaim | undefined) => {
    if (revisionOf(vni) === before) note(vni, claim)
  }

  const take = async ({pair, vnis}: VniWish, signal: AbortSignal): Promise<boolean> => {
    const claim = {pair, node: self}
    if (vnis.length === 0) {
      const shortage = shortageOf(facts.claims, range)
      if (shortage !== undefined) throw new Error(shortage)
    }
    for (const vni of vnis) {
      const before = revisionOf(vni)
      if ((await collection.create(`${vni}`, {spec: claim}, signal)) === 'exists') continue
      noteUnless(vni, before, claim)
      return true
    }
    // Others were quicker each time: what the store's stream tells next names other numbers.
    return false
  }

  const giveBack = async ({vni, claim}: VniReturn, signal: AbortSignal): Promise<boolean> => {
    const before = revisionOf(vni)
    // The store's stream may not have told yet of what has just been taken.
    const entry = stored(`${vni}`) ?? (await collection.read(`${vni}`, signal))
    if (entry && !isDeepStrictEqual(entry.value.spec, claim)) return false
    if (!entry) {
      noteUnless(vni, before, undefined)
      return false
    }
    const outcome = await collection.delete(`${vni}`, entry.revision, signal)
    if (outcome !== 'changed') noteUnless(vni, before, undefined)
    return outcome === 'deleted'
  }

  return async (signal: AbortSignal): Promise<VniReport> => {
    const began = performance.now()
    const wanted = wantedVnis(facts.pairs, facts.claims, {self, alive: facts.alive, range, here: facts.here})
    const [taken, given] = await Promise.all([
      Promise.allSettled(wanted.take.map(wish => take(wish, signal))),
      Promise.allSettled(wanted.giveBack.map(each => giveBack(each, signal))),
    ])
    signal.throwIfAborted()
    const failed = [...taken, ...given].find(each => each.status === 'rejected')
    const count = (outcomes: readonly PromiseSettledResult<boolean>[]): number =>
      outcomes.filter(each => each.status === 'fulfilled' && each.value).length
    const error = failed?.reason as Error | undefined
    return {taken: count(taken), givenBack: count(given), error, ms: performance.now() - began}
  }
}

export interface VniUpkeepPorts extends Pick<VniPorts, 'facts' | 'self' | 'range' | 'note'> {
  readonly store: PairStore
  readonly log: Logger
  readonly metrics: Metrics
}

/** Whenever something may be due. */
export function vniUpkeep({store, log, metrics, ...ports}: VniUpkeepPorts): OperatorFunction<unknown, unknown> {
  const pass = createVniPass({...ports, collection: store.vnis, stored: key => store.vni(key)})
  let trouble: string | undefined
  return pipe(
    filter(() => store.isReady && store.isLive),
    coalesce((_: unknown, signal: AbortSignal) => pass(signal), {
      failed: ({error}) => error !== undefined,
      onThrow: error => ({taken: 0, givenBack: 0, error: error as Error, ms: 0}),
      // Every pair is looked at: not all the time.
      rest: ({taken, givenBack, ms}) => (taken + givenBack > 0 ? 0 : ms),
      backoff: {baseMs: 50, capMs: 30_000},
    }),
    tap(({taken, givenBack, error}) => {
      metrics.vniChanges.inc({op: 'take'}, taken)
      metrics.vniChanges.inc({op: 'give back'}, givenBack)
      const reason = error?.message
      if (reason !== undefined && reason !== trouble)
        log.warn('network identifiers of tunnels cannot be taken or given back; trying again', {reason})
      trouble = reason
    }),
  )
}
