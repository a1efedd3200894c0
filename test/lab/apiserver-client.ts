/** A plain client for the API server's tests: what comes back is shown as text. */
import {type IncomingMessage, request} from 'node:http'
import type {ExecutionContext} from 'ava'
import {type ApiServer, type ApiServerOptions, startApiServer} from '../../src/lab/apiserver/server.ts'

export async function serve(t: ExecutionContext, options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApiServer(options)
  t.teardown(() => server.close())
  return server
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: the answers are looked into as they are.
  readonly body: any
}

export async function call(
  server: {url: string},
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' ? body : body === undefined ? null : JSON.stringify(body)
  const answer = await fetch(server.url + path, {
    method,
    body: text,
    headers: {...(text !== null && {'content-type': 'application/json'}), ...headers},
  })
  const got = await answer.text()
  const isJson = answer.headers.get('content-type') === 'application/json'
  return {status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(got) : got}
}

export const patch = (server: {url: string}, kind: 'merge' | 'json' | 'strategic-merge', path: string, body: unknown) =>
  call(server, 'PATCH', path, body, {'content-type': `application/${kind}-patch+json`})

/** "409 Conflict: Operation cannot …", or "200 Node a". */
export function shown({status, body}: Answer): string {
  if (body.kind === 'Status' && body.status === 'Failure') return `${status} ${body.reason}: ${body.message}`
  if (body.items) return `${status} ${body.kind} ${body.items.map((i: {metadata: {name: string}}) => i.metadata.name)}`
  return `${status} ${body.kind} ${body.metadata?.name ?? body.status}`
}

/** The events of a watch as text: "ADDED a@5", "BOOKMARK @7", "ERROR 410 Expired"; at last "end", or "cut" (with what was half read). */
export class Watching {
  readonly #events: string[] = []
  readonly #request
  #wake = () => {}
  response: IncomingMessage | undefined

  constructor(server: {url: string}, path: string, headers: Record<string, string> = {}, read = true) {
    this.#request = request(server.url + path, {agent: false, headers}, response => {
      this.response = response
      if (read) this.#read(response)
      else response.once('close', () => this.#push('cut'))
    })
    this.#request.on('error', () => {}).end()
  }

  async next(): Promise<string> {
    while (this.#events.length === 0) await new Promise<void>(resolve => (this.#wake = resolve))
    return this.#events.shift()!
  }

  async take(n: number): Promise<string> {
    const events: string[] = []
    while (events.length < n) events.push(await this.next())
    return events.join(', ')
  }

  /** What has come so far and was not taken. */
  get waiting(): string {
    return this.#events.join(', ')
  }

  close(): void {
    this.#request.destroy()
  }

  #read(response: IncomingMessage): void {
    let rest = ''
    response.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#push(event(JSON.parse(line)))
    })
    response.on('error', () => {})
    response.once('close', () => this.#push(response.complete ? 'end' : `cut${rest ? ` in ${rest.slice(0, 15)}` : ''}`))
  }

  #push(text: string): void {
    this.#events.push(text)
    this.#wake()
  }
}

// biome-ignore lint/suspicious/noExplicitAny: any event of any resource.
function event({type, object}: any): string {
  if (type === 'ERROR') return `ERROR ${object.code} ${object.reason}`
  const rows =
    object.kind === 'Table' ? object.rows.map((row: {cells: string[]}) => row.cells[0]) : object.metadata.name
  const end = object.metadata.annotations?.['k8s.io/initial-events-end'] ? ' end of initial events' : ''
  return `${type} ${rows ?? ''}@${object.metadata.resourceVersion}${end}`
}

export const node = (name: string, more: object = {}) => ({apiVersion: 'v1', kind: 'Node', metadata: {name}, ...more})

export const PAIRS_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {name: 'pairs.netgraft.dev'},
  spec: {
    group: 'netgraft.dev',
    scope: 'Namespaced',
    names: {plural: 'pairs', singular: 'pair', kind: 'Pair', shortNames: ['pr']},
    versions: [
      {name: 'v1alpha1', served: true, storage: false, subresources: {status: {}}},
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {status: {}},
        schema: {openAPIV3Schema: {type: 'object', 'x-kubernetes-preserve-unknown-fields': true}},
        additionalPrinterColumns: [
          {name: 'Peer', type: 'string', jsonPath: '.spec.peer'},
          {name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status'},
          {name: 'Hosts', type: 'string', jsonPath: '.spec.ends[*].host', priority: 1},
          {name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp'},
        ],
      },
    ],
  },
}

export const pair = (name: string, more: object = {}) => ({
  apiVersion: 'netgraft.dev/v1',
  kind: 'Pair',
  metadata: {name, namespace: 'default'},
  ...more,
})
