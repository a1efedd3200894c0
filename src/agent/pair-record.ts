/** What has become of this node's pairs, and how long it took: for users, logs and metrics. */
import type {Logger} from '../model/logger.ts'
import type {Pair, PairKey, PairPlan, PairState} from '../model/pair.ts'
import type {Metrics} from '../observe/metrics.ts'
import {type PairProgress, pairStates, stateOf} from '../pairs/states.ts'
import type {PairReport} from './pair-build.ts'
import type {PairFacts} from './pair-facts.ts'
import type {PairPod} from './pair-pods.ts'

export interface PairRecord {
  /** Of a pair that may have changed: since when both its ends are ready. */
  look(key: PairKey): void
  hear(report: PairReport): void
  /** Of a pod of this node. Undefined: something of its pairs is being built at this moment, or is not known yet. */
  statesOf(pod: PairPod): readonly PairState[] | undefined
  /** Likewise, with what is being built, or is not known yet. */
  allStatesOf(pod: PairPod): readonly PairState[]
  /** Of the first end that is here. */
  stateOf(pair: Pair): PairState | undefined
  /** What has become of what is planned for it now. Undefined: it is being carried out. */
  progressOf(pair: PairKey): PairProgress | undefined
}

/** `plan`: the very one that was carried out; as long as nothing changes that it follows from it is the same object. */
type Known = PairProgress & {readonly signature: string; readonly plan?: PairPlan}

export function createPairRecord(facts: PairFacts, log: Logger, metrics: Metrics): PairRecord {
  const progress = new Map<PairKey, Known>()
  /** Since when both ends are ready; told: it has been measured. */
  const ready = new Map<PairKey, {readonly sandboxes: string; readonly since: number; told: boolean}>()

  const progressOf = (key: PairKey, plan: PairPlan | undefined): PairProgress | undefined => {
    const known = progress.get(key)
    return known && plan && known.signature === signatureOf(plan) ? known : undefined
  }

  const isUnknown = ({waitsFor}: PairState): boolean => waitsFor === 'node' && !facts.isAliveKnown

  const measure = ({key, plan}: PairReport): void => {
    const since = ready.get(key)
    if (!since || since.told || (plan?.kind !== 'veth' && plan?.kind !== 'vxlan')) return
    since.told = true
    metrics.pairReady.observe({kind: plan.kind}, (performance.now() - since.since) / 1000)
  }

  const allStatesOf: PairRecord['allStatesOf'] = ({key, problems, endpoint, pod}) => {
    if (!pod) return []
    const plans = new Map<PairKey, PairPlan>()
    const known = new Map<PairKey, PairProgress>()
    for (const pair of facts.pairsOf(key)) {
      const plan = facts.planOf(pair)
      if (!plan) continue
      plans.set(pair, plan)
      const now = progressOf(pair, plan)
      if (now) known.set(pair, now)
    }
    const all = new Map([[key, [...problems, ...facts.problemsOf(key)]]])
    const states = pairStates({local: new Map([[key, endpoint ?? {}]]), plans, problems: all, progress: known})
    return states.get(key) ?? []
  }

  return {
    look: key => {
      const pair = facts.pairs.get(key)
      const sandboxes = pair?.ends.map(({endpoint}) => endpoint?.sandbox)
      if (!sandboxes || sandboxes.includes(undefined) || !facts.here.has(key)) return void ready.delete(key)
      const text = sandboxes.join()
      if (ready.get(key)?.sandboxes !== text) ready.set(key, {sandboxes: text, since: performance.now(), told: false})
    },
    hear: report => {
      const {key, plan, done, error, ms} = report
      const fields = {pair: key, ...(plan && {kind: plan.kind}), ms: Math.round(ms * 10) / 10}
      const signature = plan ? signatureOf(plan) : ''
      const before = progress.get(key)
      if (error) {
        metrics.pairErrors.inc()
        const isKnown = before?.state === 'failed' && before.reason === error.message && before.signature === signature
        if (!isKnown)
          log.warn('a pair of pods could not be connected; trying again', {...fields, reason: error.message})
        progress.set(key, {state: 'failed', reason: error.message, signature})
      } else if (done === 'removed' || !plan) {
        progress.delete(key)
        if (done === 'removed') log.info('a pair of pods is disconnected', fields)
      } else if (done) {
        progress.set(key, {state: 'up', signature, plan})
        measure(report)
        if (done === 'kept') return
        // What is wanted of it may have changed, and not only what stands.
        if (before?.state === 'up' && before.plan === plan) {
          metrics.pairRepairs.inc()
          log.warn('a pair of pods was put right', fields)
        } else if (done === 'changed') log.info('a pair of pods is changed', fields)
        else log.info('a pair of pods is connected', fields)
      }
    },
    statesOf: pod => {
      const now = allStatesOf(pod)
      return now.some(each => each.state === 'building' || isUnknown(each)) ? undefined : now
    },
    allStatesOf,
    stateOf: pair => {
      const plan = facts.planOf(pair.key)
      const now = plan?.ends[0] && stateOf(plan, plan.ends[0], progressOf(pair.key, plan))
      return now && isUnknown(now) ? undefined : now
    },
    progressOf: key => progressOf(key, facts.planOf(key)),
  }
}

/** What a link is made of: another one is another link. */
function signatureOf(plan: PairPlan): string {
  const ends = plan.ends.map(({sandbox, interface: ifname}) => `${sandbox} ${ifname}`)
  const tunnel = plan.kind === 'vxlan' ? `${plan.vni} ${plan.local} ${plan.remote}` : ''
  return [plan.kind, tunnel, ...ends].join('\n')
}
