/** The pass over a running pod's networks, as the agent makes it, with what an API server would tell given by the test. */
import type {OpenFront} from '../../../../src/agent/cni-open.ts'
import {createLookup} from '../../../../src/agent/pod-networks.ts'
import {createPodPass, type PodReport} from '../../../../src/agent/pod-pass.ts'
import type {Config} from '../../../../src/model/config.ts'
import {POD_ANNOTATIONS, type PodFacts} from '../../../../src/streams/pods.ts'

export interface PassOrder {
  readonly op: 'pass'
  readonly pod: string
  /** The annotation. */
  readonly networks: string
  /** Configs by their definition's name. */
  readonly definitions: Readonly<Record<string, object>>
}

export function passOver(open: OpenFront, {pod: name, networks, definitions}: PassOrder): Promise<PodReport> {
  const pod: PodFacts = {
    namespace: 'default',
    name,
    uid: name,
    annotations: {[POD_ANNOTATIONS.npwg]: networks},
    hostNetwork: false,
    ending: false,
    hasAddress: true,
    labels: {},
    createdAt: 0,
  }
  const key = `default/${name}`
  const items = new Map([[key, pod]])
  const attachments = {enabled: true, namespaces: [], isolation: true, grants: [], definitionsFolder: '/nowhere'}
  const lookup = createLookup({
    config: {attachments} as unknown as Config,
    pods: {items, ask: async () => pod} as unknown as Parameters<typeof createLookup>[0]['pods'],
    definitions: {
      find: async ({namespace, name: wanted}: {readonly namespace: string; readonly name: string}) =>
        definitions[wanted] && {
          kind: 'NetworkAttachmentDefinition',
          namespace,
          name: wanted,
          config: JSON.stringify(definitions[wanted]),
        },
    } as unknown as Parameters<typeof createLookup>[0]['definitions'],
    starting: {annotations: async () => pod.annotations, labels: async () => ({})},
    devices: async () => new Map(),
  })
  const pass = createPodPass({
    ...open,
    lookup,
    pod: each => items.get(each),
    findSandbox: async () => undefined,
    deadlineMs: 60_000,
  })
  return pass(key, new AbortController().signal)
}
