/** Metrics of pairs of pods. */
import {counter, gauge, histogram} from './definition.ts'

export const PAIR_METRICS = {
  pairEnds: gauge(
    'netgraft_pair_ends',
    "Ends of pairs in this node's pods, by what has become of them, and by what those wait for that wait.",
    {
      state: ['waiting', 'building', 'up', 'failed', 'contradiction'],
      kind: ['veth', 'vxlan', ''],
      waits_for: ['peer', 'node', 'sandbox', 'vni', 'ratchet', 'store', ''],
    },
  ),
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
}
