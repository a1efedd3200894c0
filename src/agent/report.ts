/** What a pass did, as log lines and metrics. A trouble is told when it begins and when it ends, not at every pass. */
import type {Logger} from '../model/logger.ts'
import type {Change} from '../model/plans.ts'
import {describeChange} from '../netlink/kernel-writer.ts'
import {formatRoute} from '../netlink/route.ts'
import type {Metrics} from '../observe/metrics.ts'
import {PROBLEM_KINDS} from '../routes/claims.ts'
import type {RouteReport} from '../routes/pass.ts'

/** Sentences that one pass, and one minute, write to the log; the rest is counted. */
const TOLD_AT_MOST = {pass: 20, minute: 120} as const
/** Characters. A node's fields are quoted, and may be of any length. */
const SENTENCE_LENGTH = 400

/** Tells of one network's passes, in order. */
export function routeReporter(log: Logger, metrics: Metrics): (report: RouteReport) => void {
  let standing = new Map<string, string>()
  /** Of the last report: the same list again tells nothing new. */
  let problems: RouteReport['problems'] = []
  let smooth = true
  const room = budget()
  return report => {
    measure(report, metrics)
    const {network, error} = report
    if (error !== undefined) return log.error('route pass broke; it is run again', {network, err: error})
    const troubles = report.problems === problems && isSmooth(report) && smooth ? standing : troublesOf(report)
    problems = report.problems
    smooth = isSmooth(report)
    if (troubles !== standing) {
      const begun = [...troubles].filter(([sentence]) => !standing.has(sentence))
      const ended = [...standing].filter(([sentence]) => !troubles.has(sentence))
      const left = room(begun.length + ended.length)
      for (const [reason, kind] of begun.slice(0, left)) log.warn('trouble', {network, kind, reason})
      if (begun.length > left) log.warn('more troubles', {network, count: begun.length - left})
      for (const [reason, kind] of ended.slice(0, left)) log.info('trouble over', {network, kind, reason})
    }
    standing = troubles
    if (report.written.length > 0) tellChanges(report, log)
  }
}

const isSmooth = ({conflicts, refused}: RouteReport): boolean => conflicts.length === 0 && refused.length === 0

/** How many of so many sentences may be told now. */
function budget(): (wanted: number) => number {
  let minute = 0
  let told = 0
  return wanted => {
    const now = Math.floor(performance.now() / 60_000)
    if (now !== minute) [minute, told] = [now, 0]
    const left = Math.min(TOLD_AT_MOST.pass, TOLD_AT_MOST.minute - told)
    told += Math.min(wanted, left)
    return left
  }
}

function measure(report: RouteReport, metrics: Metrics): void {
  const {network, startedAt, endedAt, written, refused} = report
  metrics.passes.inc({domain: 'routes', result: report.error !== undefined || refused.length > 0 ? 'failed' : 'ok'})
  if (report.error !== undefined) return
  metrics.passDuration.observe({domain: 'routes'}, (endedAt - startedAt) / 1000)
  if (written.length > 0) metrics.eventToKernel.observe({source: report.source}, (endedAt - report.since) / 1000)
  const ofRoutes = tally(written.filter(({object}) => object === 'route'))
  for (const op of ['add', 'replace', 'delete'] as const) metrics.routeChanges.inc({network, op}, ofRoutes[op] ?? 0)
  for (const object of ['link', 'address', 'neighbour', 'fdb'] as const)
    for (const [op, count] of countBy(
      written.filter(change => change.object === object),
      change => change.op,
    ))
      metrics.tunnelChanges.inc({network, object, op}, count)
  for (const {refusal} of refused) metrics.routeErrors.inc({network, code: refusal.code})
  metrics.driftRepairs.inc({network}, report.repaired)
  for (const family of [4, 6] as const) {
    metrics.routes.set({network, family}, report.routes[family])
    const mtu = report.mtu[family]
    if (mtu === undefined) metrics.mtu.remove({network, family})
    else metrics.mtu.set({network, family}, mtu)
  }
  metrics.peers.set({network}, report.peers)
  const overlaps = report.problems.filter(({kind}) => kind === 'overlap').length
  metrics.conflicts.set({network}, report.conflicts.length + overlaps)
  for (const kind of PROBLEM_KINDS) {
    metrics.invalidInputs.set({network, kind}, report.problems.filter(problem => problem.kind === kind).length)
  }
}

/** Every trouble's sentence, with its kind. */
function troublesOf({problems, conflicts, refused}: RouteReport): Map<string, string> {
  const troubles = new Map<string, string>()
  for (const {kind, message} of problems) troubles.set(message.slice(0, SENTENCE_LENGTH), kind)
  for (const {wanted, foreign, blocks} of conflicts) {
    const ours = blocks ? 'ours cannot stand beside it' : 'ours stands behind it'
    troubles.set(
      `a route that is not ours leads to ${wanted.destination} (${formatRoute(foreign)}); ${ours}`,
      'conflict',
    )
  }
  for (const {refusal} of refused) troubles.set(refusal.message, 'refused')
  return troubles
}

function tellChanges({network, source, written, repaired, startedAt, endedAt}: RouteReport, log: Logger): void {
  const {add = 0, replace = 0, delete: gone = 0} = tally(written.filter(({object}) => object === 'route'))
  const tunnels = written.filter(({object}) => object !== 'route')
  const ms = Math.round((endedAt - startedAt) * 10) / 10
  const [first] = written
  const only = written.length === 1 ? {change: describeChange(first!)} : {}
  const also = tunnels.length > 0 ? {tunnels: tunnels.length} : {}
  log.info('routes written', {network, source, add, replace, delete: gone, ...also, repaired, ms, ...only})
}

const tally = (changes: readonly Change[]): Partial<Record<Change['op'], number>> =>
  Object.fromEntries(countBy(changes, ({op}) => op))

function countBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, number> {
  const counts = new Map<K, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return counts
}
