/** Metrics of routes and of the kernel's state. */
import {CODE, counter, gauge, histogram, NETWORK, REASON} from './definition.ts'

const DOMAIN = ['routes'] as const

export const ROUTE_METRICS = {
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
  routeErrors: counter('netgraft_route_errors_total', 'Changes that the kernel refused, by its error.', {
    network: NETWORK,
    code: CODE,
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
  driftRepairs: counter(
    'netgraft_drift_repairs_total',
    'Routes, tunnels and their entries put right after somebody else had changed or removed them.',
    {network: NETWORK},
  ),
  routes: gauge('netgraft_routes', 'Routes of the agent in the kernel.', {network: NETWORK, family: [4, 6]}),
  peers: gauge('netgraft_peers', 'Other nodes with which the network has routes to exchange.', {network: NETWORK}),
  mtu: gauge('netgraft_mtu_bytes', "What a pod's packet may have.", {network: NETWORK, family: [4, 6]}),
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
}
