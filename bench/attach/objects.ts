/** Pods as the API server has them, and edits of their annotation. */
import type {Api} from '../api.ts'
import {SELF} from '../cluster.ts'
import {ANNOTATION} from './networks.ts'

export interface PodObject {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly annotations?: Readonly<Record<string, string>>
  }
}

const PODS = '/api/v1/namespaces/default/pods'

export const pathOf = (name: string): string => `${PODS}/${name}`

/** A pod of this node, of which the runtime knows nothing yet. @param networks its annotation */
export async function createPod(api: Api, name: string, networks: string): Promise<PodObject> {
  const container = {
    name: 'main',
    image: 'registry.example.com/team/app:v1.2.3',
    env: Array.from({length: 12}, (_, i) => ({name: `OPTION_${i}`, value: `value ${i}`})),
    resources: {limits: {cpu: '500m', memory: '256Mi'}, requests: {cpu: '100m', memory: '128Mi'}},
    volumeMounts: [{name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true}],
  }
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      labels: {app: 'app', 'app.kubernetes.io/name': name, 'pod-template-hash': '5d4f8c7b9'},
      annotations: networks === '' ? {} : {[ANNOTATION]: networks},
    },
    spec: {nodeName: SELF, containers: [container], restartPolicy: 'Always', serviceAccountName: 'default'},
  }
  return JSON.parse(await api.send('POST', PODS, body)) as PodObject
}

/** As the kubelet does it when the pod's containers run. */
export async function setRunning(api: Api, name: string, podIP: string): Promise<void> {
  const status = {phase: 'Running', podIP, podIPs: [{ip: podIP}], conditions: [{type: 'Ready', status: 'True'}]}
  await api.send('PATCH', `${pathOf(name)}/status`, {status})
}

/** @param networks '': none */
export async function edit(api: Api, name: string, networks: string): Promise<void> {
  const annotations = {[ANNOTATION]: networks === '' ? null : networks}
  await api.send('PATCH', pathOf(name), {metadata: {annotations}})
}

export async function readPod(api: Api, name: string): Promise<PodObject> {
  return JSON.parse(await api.send('GET', pathOf(name))) as PodObject
}
