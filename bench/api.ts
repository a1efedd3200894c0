/** The API server of a case, and requests to it and to the agent beside it. */
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {Agent as HttpAgent, request} from 'node:http'
import {join} from 'node:path'
import type {Run} from '../src/lab/run.ts'
import {AGENT_PORT} from './agent.ts'
import type {Backend} from './cluster.ts'
import type {Site} from './site.ts'

const API_PORT = 6443

export interface Answer {
  readonly status: number
  readonly body: string
}

export class Api {
  /** A file for the agent. */
  readonly kubeconfig: string
  readonly #process: ChildProcess
  readonly #sockets: {readonly api: string; readonly agent: string}
  /** Connections that are open already: requests do not wait for one. */
  readonly #connections = new HttpAgent({keepAlive: true, maxSockets: 64, maxFreeSockets: 64})

  /** Resolves when it serves the nodes. */
  static async start(run: Run, site: Site, {nodes, backend}: {nodes: number; backend: Backend}): Promise<Api> {
    const sockets = {api: join(run.folder, `${site.name}.api`), agent: join(run.folder, `${site.name}.agent`)}
    const kubeconfig = join(run.folder, `${site.name}.kubeconfig`)
    const script = join(import.meta.dirname, 'api-process.ts')
    const args = [script, API_PORT, sockets.api, AGENT_PORT, sockets.agent, kubeconfig, nodes, backend].map(String)
    const child = await run.spawn(process.execPath, args, {netns: site.name, stdio: ['ignore', 'pipe', 'inherit']})
    await Promise.race([
      once(child.stdout!, 'data'),
      once(child, 'exit').then(() => {
        throw new Error('the API server did not start')
      }),
    ])
    return new Api(child, sockets, kubeconfig)
  }

  private constructor(child: ChildProcess, sockets: {api: string; agent: string}, kubeconfig: string) {
    this.#process = child
    this.#sockets = sockets
    this.kubeconfig = kubeconfig
  }

  /** "POST", "/api/v1/nodes": the answer's body. Rejects if it is no success. */
  async send(method: string, path: string, body?: object): Promise<string> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const answer = await this.#exchange(this.#sockets.api, method, path, this.#connections, type, body)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
    return answer.body
  }

  /** Of a watch ("/api/v1/pods?watch=1"): calls for each line, until the result is called. Resolves when it is answered. */
  watch(path: string, onLine: (line: string) => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const exchange = request({socketPath: this.#sockets.api, path, agent: false}, response => {
        let rest = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n')
          rest = lines.pop()!
          for (const line of lines) onLine(line)
        })
        response.on('error', () => {})
        resolve(() => void exchange.destroy())
      })
      exchange.on('error', reject).end()
    })
  }

  /** What a path of the agent's HTTP server answers; undefined while nobody answers. */
  askAgent(path: string): Promise<Answer | undefined> {
    return this.#exchange(this.#sockets.agent, 'GET', path, false).catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#connections.destroy()
    const ended = once(this.#process, 'exit')
    if (this.#process.kill('SIGKILL')) await ended
  }

  #exchange(
    socketPath: string,
    method: string,
    path: string,
    agent: HttpAgent | false,
    type?: string,
    body?: object,
  ): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = text === undefined ? {} : {'content-type': type, 'content-length': Buffer.byteLength(text)}
    return new Promise((resolve, reject) => {
      const exchange = request({socketPath, method, path, agent, headers}, response => {
        let answer = ''
        response.setEncoding('utf8').on('data', more => (answer += more))
        response.on('end', () => resolve({status: response.statusCode!, body: answer}))
        response.on('error', reject)
      })
      exchange.on('error', reject).end(text)
    })
  }
}
