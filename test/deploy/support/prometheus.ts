/** A real Prometheus with its own folder and port, ended with the test. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {type AddressInfo, connect, createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import type {ExecutionContext} from 'ava'
import {stringify} from 'yaml'

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [time: number, value: string]
}

export interface ActiveAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

export interface RuleState {
  readonly name: string
  readonly health: 'ok' | 'unknown' | 'err'
  readonly lastError?: string
  readonly lastEvaluation: string
}

export class Prometheus {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Throws with Prometheus' own words. */
  async query(expr: string): Promise<readonly Sample[]> {
    return (await this.#get<{result: Sample[]}>(`query?query=${encodeURIComponent(expr)}`)).result
  }

  async alerts(): Promise<readonly ActiveAlert[]> {
    return (await this.#get<{alerts: ActiveAlert[]}>('alerts')).alerts
  }

  async rules(): Promise<readonly RuleState[]> {
    return (await this.#get<{groups: {rules: RuleState[]}[]}>('rules')).groups.flatMap(({rules}) => rules)
  }

  /** Those that are scraped. */
  async targets(): Promise<readonly {labels: Readonly<Record<string, string>>; health: string}[]> {
    const targets = await this.#get<{activeTargets: {labels: Record<string, string>; health: string}[]}>('targets')
    return targets.activeTargets
  }

  async #get<T>(path: string): Promise<T> {
    const answer = (await (await fetch(`${this.#url}/api/v1/${path}`)).json()) as {
      readonly status: string
      readonly data: T
      readonly error?: string
    }
    if (answer.status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${answer.error}`)
    return answer.data
  }
}

export async function startPrometheus(t: ExecutionContext, config: object): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'ng-prometheus-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
  const words = ['--pdeathsig', 'KILL', 'prometheus', `--config.file=${folder}/prometheus.yml`]
  const options = [`--storage.tsdb.path=${folder}/data`, '--web.listen-address=127.0.0.1:0', '--log.format=json']
  const child = spawn('setpriv', [...words, ...options], {stdio: ['ignore', 'ignore', 'pipe'], cwd: folder})
  const ended = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const said: string[] = []
  let address = ''
  for await (const line of createInterface({input: child.stderr})) {
    said.push(line)
    const {msg, address: at} = parse(line)
    if (msg === 'Listening on') address = at!
    if (!msg?.startsWith('Server is ready')) continue
    // Or it would be held up once nobody reads.
    child.stderr.resume()
    return new Prometheus(`http://${address}`)
  }
  throw new Error(`Prometheus has ended: ${said.slice(-5).join('\n')}`)
}

const parse = (line: string): {msg?: string; address?: string} => {
  try {
    return JSON.parse(line) as {msg?: string; address?: string}
  } catch {
    return {}
  }
}

/** A port of this machine that leads to a unix socket, which sees no network namespaces. Closed with the test. */
export async function portTo(t: ExecutionContext, socketPath: string): Promise<number> {
  const server = createServer(near => {
    const far = connect(socketPath)
    near.pipe(far).pipe(near)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('error', () => {}).on('close', () => other.destroy())
    t.teardown(() => void near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}
