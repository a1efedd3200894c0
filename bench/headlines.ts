/** Of all figures those that one looks at first: what they are in words, and beside them what the same costs by other means. */
import type {SuiteName} from './report.ts'

export interface Headline {
  readonly suite: SuiteName
  /** Without the column, which is told beside it. */
  readonly what: string
  /** One of the few that a page begins with. @default no */
  readonly first?: boolean
  /** Of several that fit, as of several sizes, the first that was measured counts. */
  readonly part: string | RegExp
  readonly column: string | RegExp
  readonly name: string | RegExp
  /** The same by others, at the same time and on the same machine: another row or column of the same part. */
  readonly peer?: {
    readonly who: string
    readonly column?: string
    readonly name?: string
    /** The row that compares. @default "name / column" */
    readonly ratio?: string
  }
}

const UPSTREAM = {bridge: 'upstream bridge', ptp: 'upstream ptp'} as const

const sideBySide = (what: string, part: string, name: string | RegExp): Headline[] =>
  (
    [
      ['bridge', 'bridge'],
      ['ptp', 'ptp'],
      ['default ptp', 'ptp'],
    ] as const
  ).map(([column, type]) => ({
    suite: 'cni',
    what,
    part,
    column,
    name,
    peer: {who: UPSTREAM[type], column: UPSTREAM[type]},
  }))

const furtherNetworks = (count: number): Headline[] =>
  ['ADD', 'DEL'].map(verb => ({
    suite: 'attach',
    what: `${verb} of a pod with ${count} further networks, p50`,
    part: `pod start, ${count} further networks`,
    column: 'netgraft',
    name: `${verb} p50`,
    peer: {who: `${count + 1} direct calls`, column: 'direct calls'},
  }))

/** An agent alone is measured, too. */
const onBackends = (headline: Omit<Headline, 'suite' | 'column'>): Headline[] =>
  ['direct', 'vxlan'].map(backend => ({suite: 'routes', ...headline, column: new RegExp(`^${backend} (?!1$)`)}))

const edits = (name: string): Headline[] =>
  ['attach', 'detach'].map(column => ({
    suite: 'attach',
    what: `annotation edited, until the pod has it so, ${name}`,
    part: 'hot, 1 pod',
    column,
    name,
  }))

const pairs = (store: string): Headline[] =>
  ['same node', 'two nodes'].map(nodes => ({
    suite: 'pairs',
    what: 'both annotations edited, until the link is up, p50',
    part: 'latency',
    column: `${nodes}, ${store}`,
    name: 'both annotations PATCHed → up, p50',
  }))

const traffic = (kind: string): Headline[] =>
  ['TCP', 'echo'].map(name => ({
    suite: 'pairs',
    what: `${name} over a ${kind}`,
    part: `traffic, ${kind}`,
    column: 'agent',
    name,
    peer: {who: 'by hand', column: 'by hand'},
  }))

const first = (headlines: readonly Headline[]): Headline[] => headlines.map(headline => ({...headline, first: true}))

export const HEADLINES: readonly Headline[] = [
  ...first(
    onBackends({
      what: "all nodes' routes written, both families",
      part: 'facts to kernel',
      name: 'netgraft, acknowledged',
      peer: {who: 'ip -batch', name: 'ip -batch and bridge -batch', ratio: 'netgraft / ip -batch'},
    }),
  ),
  ...first(
    onBackends({
      what: 'agent started, until all routes are in the kernel',
      part: 'start',
      name: 'process to everything in the kernel',
    }),
  ),
  ...onBackends({what: 'routes written by a restart', part: 'start', name: 'restart: changes written'}),
  ...first(
    onBackends({
      what: 'a node is created, until its routes are there, p50',
      part: 'node event to kernel',
      name: 'POST, 100 events/s: p50',
    }),
  ),
  ...onBackends({what: 'the same, p99', part: 'node event to kernel', name: 'POST, 100 events/s: p99'}),
  ...onBackends({what: 'memory (RSS)', part: 'footprint', name: 'RSS'}),
  ...first(sideBySide('ADD, p50', 'one at a time', 'ADD p50')),
  ...sideBySide('ADD, p95', 'one at a time', 'ADD p95'),
  ...first(sideBySide('DEL, p50', 'one at a time', 'DEL p50')),
  ...first(sideBySide('pods a second, 32 at once', 'burst, 32 at once', /^\d+ pods$/)),
  {
    suite: 'cni',
    what: 'memory with 500 pods (RSS)',
    part: 'footprint',
    column: 'default ptp',
    name: /^RSS with \d+ pods$/,
  },
  ...first(furtherNetworks(2)),
  ...furtherNetworks(8),
  ...first(edits('p50')),
  ...edits('p99'),
  {
    suite: 'attach',
    what: 'edits lost in a storm of them',
    part: 'storm',
    column: /edits\/s/,
    name: 'lost edits',
  },
  ...first(pairs('kubernetes')),
  ...pairs('etcd'),
  ...first([
    {
      suite: 'pairs',
      what: 'all ends up after 50 pods are edited at once',
      part: 'many links at once',
      column: /one node, kubernetes$/,
      name: 'PATCHes sent → all up',
    },
  ]),
  ...traffic('veth'),
  ...first(traffic('vxlan')),
]
