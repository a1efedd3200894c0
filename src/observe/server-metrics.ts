/** Metrics of what the agent asks others: the API server, the store of pairs, and its own snapshot in their place. */
import {CODE, counter, gauge, REASON, RESOURCE, SERVER} from './definition.ts'

export const SERVER_METRICS = {
  relists: counter('netgraft_relists_total', 'Whole lists read from a server, by what made them necessary.', {
    server: SERVER,
    resource: RESOURCE,
    reason: REASON,
  }),
  watchRestarts: counter('netgraft_watch_restarts_total', 'Watches resumed without a list.', {
    server: SERVER,
    resource: RESOURCE,
    reason: REASON,
  }),
  apiErrors: counter(
    'netgraft_api_errors_total',
    'Requests, lists and watches above all, that the API server did not answer as asked, or etcd where that is the store.',
    {server: SERVER, resource: RESOURCE, code: CODE},
  ),
  deletionsHeld: gauge(
    'netgraft_deletions_held',
    'Objects missing from a list that shrank suspiciously; kept until a second list confirms it.',
    {server: SERVER, resource: RESOURCE},
  ),
  apiLastContact: gauge(
    'netgraft_api_last_contact_timestamp_seconds',
    'When the API server was heard of last: a whole list, an event, or a bookmark (one a minute); of several watches of one resource the one that was heard of least lately. Seconds since the epoch.',
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
  storeLastContact: gauge(
    'netgraft_store_last_contact_timestamp_seconds',
    'When the store of pairs was heard of last: a whole list, an event, or a sign of life of the watch (one a minute at least). Seconds since the epoch.',
    {store: SERVER, resource: RESOURCE},
  ),
  storeSynced: gauge(
    'netgraft_store_synced',
    'Whether what the store of pairs has is known since the start: 1 or 0. Pairs wait until it is.',
    {store: SERVER, resource: RESOURCE},
  ),
  storeErrors: counter(
    'netgraft_store_errors_total',
    'Calls to the store of pairs that failed, by what they were to do. Watches are in netgraft_api_errors_total.',
    {
      store: SERVER,
      resource: RESOURCE,
      op: ['create', 'read', 'replace', 'delete', 'list'],
      code: ['unreachable', 'uncertain', 'busy', 'refused', 'unusable', 'invalid', 'nonsense', 'closed', 'other'],
    },
  ),
  storeSignOfLife: gauge(
    'netgraft_store_sign_of_life',
    "Whether this node's sign of life is in the store of pairs, as far as it knows: 1 or 0. None: it has nothing to show one for.",
    {store: SERVER},
  ),
  storeLeftovers: counter(
    'netgraft_store_leftovers_removed_total',
    'What this node has removed from the store of pairs: what dead nodes had told of pods that are gone (pairpods), and signs of life of nodes that are no more (owners).',
    {resource: ['pairpods', 'owners']},
  ),
}
