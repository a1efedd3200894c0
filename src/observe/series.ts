/** The series of one metric, bounded whatever their labels are. */
import {Counter, Gauge, Histogram, type Registry} from 'prom-client'
import type {Definition, Labels} from './definition.ts'

type Values = Readonly<Record<string, string | number>>

/** What counts under one name: `inc`, `set` and `remove`, or `observe`. */
export function createSeries(definition: Definition, registry: Registry): unknown {
  const {kind, name, help, buckets} = definition
  const labelNames = Object.keys(definition.labels)
  const bounded = boundLabels(definition.labels)
  const base = {name, help, labelNames, registers: [registry]}
  const split = (args: readonly unknown[]) =>
    labelNames.length === 0
      ? {labels: {}, value: args[0] as number | undefined}
      : {labels: bounded(args[0] as Values | undefined), value: args[1] as number | undefined}

  if (kind === 'counter') {
    const metric = new Counter(base)
    for (const labels of closedCombinations(definition.labels)) metric.inc(labels, 0)
    return {
      inc: (...args: unknown[]) => {
        const {labels, value = 1} = split(args)
        if (Number.isFinite(value) && value >= 0) metric.inc(labels, value)
      },
    }
  }
  if (kind === 'gauge') {
    const metric = new Gauge(base)
    return {
      set: (...args: unknown[]) => {
        const {labels, value} = split(args)
        if (Number.isFinite(value)) metric.set(labels, value!)
      },
      remove: (...args: unknown[]) => metric.remove(split(args).labels),
    }
  }
  const metric = new Histogram({...base, buckets: [...buckets!]})
  for (const labels of closedCombinations(definition.labels)) metric.zero(labels)
  return {
    observe: (...args: unknown[]) => {
      const {labels, value} = split(args)
      if (Number.isFinite(value)) metric.observe(labels, value!)
    },
  }
}

/** What any surplus value of a label becomes, so that no input can make the series grow without bound. */
const OTHER = 'other'
/** Characters of a label's value. */
const VALUE_LENGTH = 64

function boundLabels(labels: Labels): (values: Values | undefined) => Record<string, string> {
  const known = Object.entries(labels).map(([name, values]) => {
    const listed = 'atMost' in values ? [] : values.map(String)
    return {name, seen: new Set(listed), atMost: 'atMost' in values ? values.atMost : listed.length}
  })
  return values => {
    const result: Record<string, string> = {}
    for (const {name, seen, atMost} of known) {
      const value = String(values?.[name] ?? '').slice(0, VALUE_LENGTH)
      if (!seen.has(value) && seen.size < atMost) seen.add(value)
      result[name] = seen.has(value) ? value : OTHER
    }
    return result
  }
}

/** Series whose names are known beforehand begin at zero: a rate over them then misses nothing. */
function closedCombinations(labels: Labels): Record<string, string>[] {
  let combinations: Record<string, string>[] = [{}]
  for (const [name, values] of Object.entries(labels)) {
    if ('atMost' in values) return []
    combinations = combinations.flatMap(rest => values.map(value => ({...rest, [name]: String(value)})))
  }
  return combinations
}
