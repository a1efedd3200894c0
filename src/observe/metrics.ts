/** What the agent counts and measures: one table, from which the typed access and docs/metrics.md follow. */
import {collectDefaultMetrics, Registry} from 'prom-client'
import {AGENT_METRICS} from './agent-metrics.ts'
import {CNI_METRICS} from './cni-metrics.ts'
import type {Definition} from './definition.ts'
import {PAIR_METRICS} from './pair-metrics.ts'
import {ROUTE_METRICS} from './route-metrics.ts'
import {createSeries} from './series.ts'
import {SERVER_METRICS} from './server-metrics.ts'

export const TABLE = {
  ...AGENT_METRICS,
  ...ROUTE_METRICS,
  ...SERVER_METRICS,
  ...CNI_METRICS,
  ...PAIR_METRICS,
} satisfies Readonly<Record<string, Definition>>

type LabelsOf<L> = {readonly [K in keyof L]: L[K] extends readonly (infer V)[] ? V : string | number}
/** A metric without labels is called without them. */
type Arguments<L, Rest extends unknown[]> = keyof L extends never ? Rest : [labels: LabelsOf<L>, ...Rest]

/** None of these throw: a value that is no number is left out. */
export interface CounterOf<L> {
  /** @default 1 */
  inc(...args: Arguments<L, [by?: number]>): void
}
export interface GaugeOf<L> {
  set(...args: Arguments<L, [value: number]>): void
  /** The series is no longer shown: what it told of is gone. */
  remove(...args: Arguments<L, []>): void
}
export interface HistogramOf<L> {
  /** Seconds. */
  observe(...args: Arguments<L, [seconds: number]>): void
}

export type Metrics = {
  readonly [K in keyof typeof TABLE]: (typeof TABLE)[K] extends {kind: infer T; labels: infer L}
    ? T extends 'counter'
      ? CounterOf<L>
      : T extends 'gauge'
        ? GaugeOf<L>
        : HistogramOf<L>
    : never
} & {
  /** What /metrics answers. */
  expose(): Promise<{readonly contentType: string; readonly body: string}>
}

export interface MetricsOptions {
  readonly version: string
  /**
   * Also process_* and nodejs_*. Started once per process: their observers of the event loop and the garbage collector
   * cannot be stopped. @default false
   */
  readonly process?: boolean
}

/** prom-client's own gauges with a counter's name; they are sums of those without "_total". */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export function createMetrics({version, process: withProcess = false}: MetricsOptions): Metrics {
  const registry = new Registry()
  const handles = Object.fromEntries(
    Object.entries<Definition>(TABLE).map(([key, definition]) => [key, createSeries(definition, registry)]),
  )
  const metrics = {
    ...handles,
    expose: async () => ({contentType: registry.contentType, body: await registry.metrics()}),
  } as unknown as Metrics
  metrics.buildInfo.set({version, node_version: process.version}, 1)
  if (withProcess) {
    // prom-client looks at the event loop every 10 ms by default: a hundred wake-ups a second of an idle agent.
    collectDefaultMetrics({register: registry, eventLoopMonitoringPrecision: 100})
    for (const name of MISNAMED) registry.removeSingleMetric(name)
  }
  return metrics
}
