/** What a PromQL expression names, held against the table of metrics. Read well enough for expressions of our own. */
import type {Definition} from '../../../src/observe/definition.ts'
import {TABLE} from '../../../src/observe/metrics.ts'

interface Selector {
  /** "netgraft_routes". */
  readonly metric: string
  /** Of the braces, each with its operator: `{state!="up"}`. */
  readonly matchers: readonly {readonly label: string; readonly op: string; readonly value: string}[]
}

interface Names {
  readonly selectors: readonly Selector[]
  /** In by, without, on, ignoring, group_left and group_right. */
  readonly grouping: readonly string[]
}

const WORDS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'or', 'and', 'unless', 'bool'])
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g
/** "[5m]", but not within a string. */
const RANGE = /"[^"]*"|\[[^\]]*\]/g
const NAME = /([a-zA-Z_:][\w:]*)\s*(?:\{((?:"[^"]*"|[^}"])*)\}|(\())?|"[^"]*"|\d[\w.]*/g
const MATCHER = /\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"([^"]*)"\s*(?:,|$)/y

function namesIn(expr: string): Names {
  const grouping = [...expr.matchAll(GROUPING)].flatMap(([, list = '']) => list.split(',').map(each => each.trim()))
  const rest = expr.replace(GROUPING, ' ').replace(RANGE, each => (each.startsWith('"') ? each : ' '))
  const selectors: Selector[] = []
  // A name is a metric unless it is a word of the language, or a function: followed by what it is applied to.
  for (const [, metric = '', braces, call] of rest.matchAll(NAME))
    if (metric !== '' && call === undefined && !WORDS.has(metric))
      selectors.push({metric, matchers: matchersIn(braces ?? '')})
  return {selectors, grouping: grouping.filter(label => label !== '')}
}

function matchersIn(braces: string): Selector['matchers'] {
  const matchers: Selector['matchers'][number][] = []
  MATCHER.lastIndex = 0
  let end = 0
  for (let found = MATCHER.exec(braces); found; found = MATCHER.exec(braces)) {
    matchers.push({label: found[1]!, op: found[2]!, value: found[3]!})
    end = MATCHER.lastIndex
  }
  if (braces.slice(end).trim() !== '') throw new Error(`{${braces}} cannot be read`)
  return matchers
}

/** What a target has beside the labels of the agent: job and instance always, the rest by the scrape configuration. */
const OF_TARGETS = ['job', 'instance', 'node', 'pod', 'namespace']
/** Metrics of others. */
const FOREIGN: Readonly<Record<string, readonly string[]>> = {
  up: [],
  ALERTS: ['alertname', 'alertstate', 'severity'],
  kube_pod_status_ready: ['condition'],
  kube_pod_info: [],
}
/** prom-client's own; that they are there shows with the real agent. */
const OF_PROCESS = /^(process|nodejs)_/

function labelsOf(metric: string): {readonly labels: Definition['labels']; readonly more: readonly string[]} {
  const foreign = FOREIGN[metric] ?? (OF_PROCESS.test(metric) ? [] : undefined)
  if (foreign) return {labels: {}, more: foreign}
  const all = Object.values<Definition>(TABLE)
  const plain = all.find(({name, kind}) => name === metric && kind !== 'histogram')
  if (plain) return {labels: plain.labels, more: []}
  const [, name, part] = /^(.*)_(bucket|sum|count)$/.exec(metric) ?? []
  const histogram = all.find(each => each.kind === 'histogram' && each.name === name)
  if (!histogram) throw new Error(`there is no metric ${metric}`)
  return {labels: histogram.labels, more: part === 'bucket' ? ['le'] : []}
}

/** Metrics, labels and closed labels' values that do not exist. */
export function strangers(expr: string): string[] {
  const {selectors, grouping} = namesIn(expr)
  const known = new Set(OF_TARGETS)
  const found: string[] = []
  for (const {metric, matchers} of selectors) {
    const {labels, more} = labelsOf(metric)
    const own = [...Object.keys(labels), ...more]
    for (const label of own) known.add(label)
    for (const {label, op, value} of matchers) {
      const values = labels[label]
      if (![...own, ...OF_TARGETS].includes(label)) found.push(`${metric} has no label ${label}`)
      else if (values && !('atMost' in values) && !value.startsWith('$'))
        for (const each of op.endsWith('~') ? value.split('|') : [value])
          if (!values.map(String).includes(each)) found.push(`${metric}: ${label} is never ${each}`)
    }
  }
  return [...found, ...grouping.filter(label => !known.has(label)).map(label => `nothing here has a label ${label}`)]
}
