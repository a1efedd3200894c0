/** Metrics of the agent as a whole. */
import {gauge} from './definition.ts'

export const AGENT_METRICS = {
  ready: gauge(
    'netgraft_ready',
    'Whether each part of the agent is ready, by the names of /readyz: 1 or 0. The agent is ready when all of them are.',
    {condition: {atMost: 80}},
  ),
  buildInfo: gauge('netgraft_build_info', 'Always 1; tells the versions.', {
    version: {atMost: 1},
    node_version: {atMost: 1},
  }),
}
