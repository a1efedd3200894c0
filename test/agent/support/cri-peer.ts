/** A container runtime that knows the sandboxes that a test tells it of: a real gRPC server on a socket of its own. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {Server, ServerCredentials, type ServiceDefinition, status} from '@grpc/grpc-js'
import {fromJSON} from '@grpc/proto-loader'
import type {ExecutionContext} from 'ava'
import {descriptors, SANDBOX_READY} from '../../../src/cri/messages.ts'

export interface PeerSandbox {
  readonly id: string
  readonly uid: string
  readonly name: string
  readonly netns: string
}

export interface CriPeer {
  /** For `attachments.criSockets`. */
  readonly socket: string
  /** That are ready. */
  readonly sandboxes: PeerSandbox[]
}

interface Question<T> {
  readonly request: T
}
type Answer = (error: object | null, answer?: object) => void

export async function startCriPeer(t: ExecutionContext): Promise<CriPeer> {
  const folder = mkdtempSync(join(tmpdir(), 'ng-cri-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  const socket = join(folder, 'cri.sock')
  const sandboxes: PeerSandbox[] = []
  const service = fromJSON(descriptors as unknown as Parameters<typeof fromJSON>[0], {defaults: true, longs: String})[
    'runtime.v1.RuntimeService'
  ] as ServiceDefinition
  const server = new Server()
  server.addService(service, {
    ListPodSandbox: ({request}: Question<{filter?: {label_selector?: Record<string, string>}}>, answer: Answer) => {
      const wanted = request.filter?.label_selector?.['io.kubernetes.pod.uid']
      const items = sandboxes
        .filter(({uid}) => wanted === undefined || uid === wanted)
        .map(({id, uid, name}) => ({
          id,
          metadata: {name, uid, namespace: 'default'},
          state: SANDBOX_READY,
          created_at: '1',
        }))
      answer(null, {items})
    },
    PodSandboxStatus: ({request}: Question<{pod_sandbox_id: string}>, answer: Answer) => {
      const found = sandboxes.find(({id}) => id === request.pod_sandbox_id)
      if (!found) return answer({code: status.NOT_FOUND, details: 'no such sandbox'})
      const linux = {namespaces: [{type: 'network', path: found.netns}]}
      answer(null, {
        status: {state: SANDBOX_READY, linux: {namespaces: {options: {network: 0}}}},
        info: {info: JSON.stringify({runtimeSpec: {linux}})},
      })
    },
  })
  await promisify(server.bindAsync.bind(server))(`unix:${socket}`, ServerCredentials.createInsecure())
  t.teardown(() => server.forceShutdown())
  return {socket, sandboxes}
}
