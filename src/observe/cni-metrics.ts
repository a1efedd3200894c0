/** Metrics of CNI requests and of pods' attachments. */
import {CODE, counter, gauge, histogram} from './definition.ts'

export const CNI_METRICS = {
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
}
