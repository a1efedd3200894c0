/** What the agent counts and measures: one table, from which the typed access and docs/metrics.md follow. */
import {Counter, collectDefaultMetrics, Gauge, Histogram, Registry} from 'prom-client'

/** The values of a label: all of them, or how many different ones are kept before the rest becomes "other". */
type LabelValues = readonly (string | number)[] | {readonly atMost: number}
type Labels = Readonly<Record<string, LabelValues>>
type Kind = 'counter' | 'gauge' | 'histogram'

export interface Definition {
  readonly kind: Kind
  readonly name: string
  readonly help: string
  readonly labels: Labels
  /** Seconds. */
  readonly buckets?: readonly number[]
}

const counter = <const L extends Labels>(name: string, help: string, labels: L) =>
  ({kind: 'counter', name, help, labels}) as const
const gauge = <const L extends Labels>(name: string, help: string, labels: L) =>
  ({kind: 'gauge', name, help, labels}) as const
const histogram = <const L extends Labels>(name: string, help: string, labels: L, buckets: readonly number[]) =>
  ({kind: 'histogram', name, help, labels, buckets}) as const

const NETWORK = {atMost: 64}
const RESOURCE = {atMost: 16}
const REASON = {atMost: 16}
/** Errno names and HTTP status codes. */
const CODE = {atMost: 32}
const DOMAIN = ['routes'] as const

export const TABLE = {
  eventToKernel: histogram(
    'netgraft_event_to_kernel_seconds',
    'From the arrival of an event at the agent to the last kernel change that follows from it.',
    {source: ['node', 'kernel', 'start', 'retry']},
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  ),
  passDuration: histogram(
    'netgraft_pass_duration_seconds',
    'Duration of a pass: compare what is wanted with what the kernel has, and write the difference.',
    {domain: DOMAIN},
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  ),
  passes: counter('netgraft_passes_total', 'Passes. A failed one is tried again with backoff.', {
    domain: DOMAIN,
    result: ['ok', 'failed'],
  }),
  routeChanges: counter('netgraft_route_changes_total', 'Routes written to the kernel.', {
    network: NETWORK,
    op: ['add', 'replace', 'delete'],
  }),
  tunnelChanges: counter(
    'netgraft_tunnel_changes_total',
    'Tunnel devices and their addresses, neighbours and forwarding entries written to the kernel.',
    {
      network: NETWORK,
      object: ['link', 'address', 'neighbour', 'fdb'],
      op: ['add', 'replace', 'set', 'delete'],
    },
  ),
  mtu: gauge('netgraft_mtu_bytes', "What a pod's packet may have.", {network: NETWORK, family: [4, 6]}),
  routeErrors: counter('netgraft_route_errors_total', 'Changes that the kernel refused, by its error.', {
    network: NETWORK,
    code: CODE,
  }),
  driftRepairs: counter(
    'netgraft_drift_repairs_total',
    'Routes, tunnels and their entries put right after somebody else had changed or removed them.',
    {network: NETWORK},
  ),
  relists: counter('netgraft_relists_total', 'Whole lists read from the API server, by what made them necessary.', {
    resource: RESOURCE,
    reason: REASON,
  }),
  watchRestarts: counter('netgraft_watch_restarts_total', 'Watches resumed without a list.', {
    resource: RESOURCE,
    reason: REASON,
  }),
  apiErrors: counter('netgraft_api_errors_total', 'Requests that the API server did not answer as asked.', {
    resource: RESOURCE,
    code: CODE,
  }),
  deletionsHeld: gauge(
    'netgraft_deletions_held',
    'Objects missing from a list that shrank suspiciously; kept until a second list confirms it.',
    {resource: RESOURCE},
  ),
  apiLastContact: gauge(
    'netgraft_api_last_contact_timestamp_seconds',
    'When the API server was heard of last: a whole list, an event, or a bookmark (one a minute). Seconds since the epoch.',
    {resource: RESOURCE},
  ),
  snapshotInUse: gauge(
    'netgraft_snapshot_in_use',
    'Whether what an earlier agent saved is in the place of what the API server has not told since the start: 1 or 0.',
    {resource: RESOURCE},
  ),
  snapshotSavedAt: gauge(
    'netgraft_snapshot_saved_timestamp_seconds',
    'When the snapshot on disk was written; it is written after changes only. Seconds since the epoch.',
    {resource: RESOURCE},
  ),
  snapshotErrors: counter('netgraft_snapshot_errors_total', 'Snapshots that could not be used or written.', {
    resource: RESOURCE,
    op: ['read', 'write'],
  }),
  netlinkEnobufs: counter(
    'netgraft_netlink_enobufs_total',
    'Times that the kernel announced changes faster than they were read; each one is followed by a resync.',
    {},
  ),
  kernelResyncs: counter(
    'netgraft_kernel_resyncs_total',
    "Whole dumps of the kernel's state, by what made them necessary.",
    {
      reason: REASON,
    },
  ),
  routes: gauge('netgraft_routes', 'Routes of the agent in the kernel.', {network: NETWORK, family: [4, 6]}),
  peers: gauge('netgraft_peers', 'Other nodes with which the network has routes to exchange.', {network: NETWORK}),
  conflicts: gauge(
    'netgraft_conflicts',
    "Prefixes that cannot be served as wanted: two nodes claim them, or a route of somebody else's stands there.",
    {network: NETWORK},
  ),
  invalidInputs: gauge(
    'netgraft_invalid_inputs',
    'Parts of node objects that cannot be served as they are written, by what is wrong with them.',
    {network: NETWORK, kind: {atMost: 16}},
  ),
  cniRequests: counter('netgraft_cni_requests_total', 'CNI requests answered, by the code of their error; 0: none.', {
    command: ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'invalid'],
    code: CODE,
  }),
  cniDuration: histogram(
    'netgraft_cni_request_seconds',
    'From the arrival of a CNI request at the agent to its answer, waiting included.',
    {command: ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']},
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  ),
  attachments: gauge('netgraft_attachments', 'Attachments in the journal, by what is being done with them.', {
    state: ['adding', 'added', 'deleting'],
  }),
  attachmentRepairs: counter(
    'netgraft_attachment_repairs_total',
    'Attachments of which something was put right on the host after somebody else had changed or removed it.',
    {},
  ),
  attachmentOperations: counter(
    'netgraft_attachment_operations_total',
    'Interfaces of pods made, changed in place, made anew after they vanished, and taken away: tries, by the definition (of the first interface: the network) and the type of its first plugin.',
    {
      definition: {atMost: 1000},
      type: {atMost: 100},
      op: ['attach', 'detach', 'update', 'rebuild'],
      outcome: ['done', 'failed'],
    },
  ),
  attachmentDuration: histogram(
    'netgraft_attachment_operation_seconds',
    "How long one try takes, by the type of the first plugin; a program's start and end included, waiting not.",
    {type: {atMost: 100}, op: ['attach', 'detach', 'update', 'rebuild']},
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  ),
  pairEnds: gauge('netgraft_pair_ends', "Ends of pairs in this node's pods, by what has become of them.", {
    state: ['waiting', 'up', 'failed', 'contradiction'],
    kind: ['veth', 'vxlan', ''],
  }),
  pairReady: histogram(
    'netgraft_pair_ready_seconds',
    'From the moment at which this node knows that both pods are ready to the link that is up in its own.',
    {kind: ['veth', 'vxlan']},
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  ),
  pairRepairs: counter(
    'netgraft_pair_repairs_total',
    'Links of pairs made anew or put right after somebody else had changed or removed them.',
    {},
  ),
  pairErrors: counter('netgraft_pair_errors_total', 'Tries to connect two pods that failed.', {}),
  vniChanges: counter(
    'netgraft_vni_changes_total',
    'Network identifiers of tunnels taken and given back by this node.',
    {
      op: ['take', 'give back'],
    },
  ),
  buildInfo: gauge('netgraft_build_info', 'Always 1; tells the versions.', {
    version: {atMost: 1},
    node_version: {atMost: 1},
  }),
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

export function createMetrics({version, process: withProcess = false}: MetricsOptions): Metrics {
  const registry = new Registry()
  const handles = Object.fromEntries(
    Object.entries<Definition>(TABLE).map(([key, definition]) => [key, handle(definition, registry)]),
  )
  const metrics = {
    ...handles,
    expose: async () => ({contentType: registry.contentType, body: await registry.metrics()}),
  } as unknown as Metrics
  metrics.buildInfo.set({version, node_version: process.version}, 1)
  // prom-client looks at the event loop every 10 ms by default: a hundred wake-ups a second of an idle agent.
  if (withProcess) collectDefaultMetrics({register: registry, eventLoopMonitoringPrecision: 100})
  return metrics
}

type Values = Readonly<Record<string, string | number>>

function handle(definition: Definition, registry: Registry): unknown {
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
