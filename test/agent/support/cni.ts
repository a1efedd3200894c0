/** A runtime that starts pods on a test's node: each a namespace, wired by the shim as it is delivered. Needs root. */
import {type ChildProcess, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readdirSync} from 'node:fs'
import {connect, type Socket} from 'node:net'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {ACKNOWLEDGED, decodeAnswer, encodeRequest} from '../../../src/cni/protocol.ts'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'
import {BUNDLE, run, type TestNode} from './node.ts'

export const SHIM = join(BUNDLE, '..', 'netgraft-cni')

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

export interface Pod {
  /** Of its sandbox. */
  readonly id: string
  readonly namespace: Namespace
}

export interface Asked {
  /** @default 1.0.0 */
  readonly version?: string
  /** Further keys of the config. */
  readonly config?: object
  /** What differs of the variables; undefined: not set. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** In place of the config. */
  readonly input?: string | Buffer
}

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
}

export interface Failure {
  readonly cniVersion: string
  readonly code: number
  readonly msg: string
}

export interface Result {
  readonly cniVersion: string
  readonly interfaces: readonly {readonly name: string; readonly mac: string; readonly sandbox?: string}[]
  readonly ips: readonly {readonly address: string; readonly gateway: string; readonly version?: string}[]
  readonly routes: readonly {readonly dst: string}[]
  readonly dns: object
}

/** Without their prefix lengths. */
export const addressesOf = ({ips}: Result): string[] => ips.map(({address}) => address.split('/')[0]!)

export class Runtime {
  /** The plugin: the shim as it is built, or as it is installed somewhere. */
  program = SHIM
  readonly #t: ExecutionContext
  readonly #node: TestNode

  constructor(t: ExecutionContext, node: TestNode) {
    this.#t = t
    this.#node = node
  }

  get socket(): string {
    return join(`${this.#node.agent.state}.run`, 'cni.sock')
  }

  get spool(): string {
    return join(this.#node.agent.state, 'spool')
  }

  async pods(count: number): Promise<Pod[]> {
    const made = await namespaces(this.#t, count)
    return made.map(namespace => ({id: randomBytes(32).toString('hex'), namespace}))
  }

  config({version = '1.0.0', config = {}}: Asked): object {
    // As containerd says it of a pod without annotations.
    const {runtimeConfig = {}, ...keys} = config as {readonly runtimeConfig?: object}
    const own = {cniVersion: version, name: 'netgraft', type: 'netgraft', socket: this.socket, spool: this.spool}
    return {...own, runtimeConfig: {'io.kubernetes.cri.pod-annotations': null, ...runtimeConfig}, ...keys}
  }

  variables(verb: Verb, pod: Pod | undefined, {env = {}}: Asked): Record<string, string> {
    const all = {
      CNI_COMMAND: verb,
      CNI_PATH: '/opt/cni/bin',
      ...(pod && {
        CNI_CONTAINERID: pod.id,
        CNI_NETNS: pod.namespace.path,
        CNI_IFNAME: 'eth0',
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.namespace.name};K8S_POD_INFRA_CONTAINER_ID=${pod.id}`,
      }),
      ...env,
    }
    return Object.fromEntries(Object.entries(all).filter((each): each is [string, string] => each[1] !== undefined))
  }

  /** The shim's process, with everything on its standard input. */
  start(verb: Verb, pod?: Pod, asked: Asked = {}): ChildProcess {
    const child = spawn(this.program, [], {env: this.variables(verb, pod, asked), stdio: ['pipe', 'pipe', 'inherit']})
    this.#t.teardown(() => child.kill('SIGKILL'))
    // It may end without having read.
    child.stdin!.on('error', () => {})
    child.stdin!.end(asked.input ?? JSON.stringify(this.config(asked)))
    return child
  }

  async call(verb: Verb, pod?: Pod, asked: Asked = {}): Promise<Outcome> {
    const child = this.start(verb, pod, asked)
    let stdout = ''
    child.stdout!.setEncoding('utf8').on('data', text => {
      stdout += text
    })
    const [status] = await once(child, 'close')
    return {status, stdout}
  }

  async add(pod: Pod, asked: Asked = {}): Promise<Result> {
    const {status, stdout} = await this.call('ADD', pod, asked)
    if (status !== 0) throw new Error(`ADD: ${stdout}`)
    return JSON.parse(stdout)
  }

  /** Of what answers with nothing. */
  async succeeds(verb: 'DEL' | 'CHECK' | 'GC' | 'STATUS', pod?: Pod, asked: Asked = {}): Promise<void> {
    this.#t.deepEqual(await this.call(verb, pod, asked), {status: 0, stdout: ''}, verb)
  }

  /** What the shim has printed, which must be an error in CNI's form. */
  async fails(verb: Verb, pod?: Pod, asked: Asked = {}): Promise<Failure> {
    const {status, stdout} = await this.call(verb, pod, asked)
    this.#t.is(status, 1, stdout)
    const failure = JSON.parse(stdout)
    this.#t.true(Number.isInteger(failure.code) && failure.code > 0 && typeof failure.msg === 'string', stdout)
    return failure
  }

  /** Without the shim. `id`: 32 hexadecimal digits. Undefined: the connection was closed without a word. */
  async ask(id: string, verb: Verb, pod?: Pod, asked: Asked = {}): Promise<Outcome | undefined> {
    const env = new Map(Object.entries(this.variables(verb, pod, asked)))
    const stdin = Buffer.from(asked.input ?? JSON.stringify(this.config(asked)))
    const bytes = await this.send(encodeRequest({id, env, stdin}))
    if (bytes.length === 0) return undefined
    const {status, stdout} = decodeAnswer(bytes)
    return {status, stdout: stdout.toString()}
  }

  /** Bytes to the socket: what it says until it closes; what sounds like an answer is acknowledged. */
  async send(bytes: Buffer, {acknowledge = true} = {}): Promise<Buffer> {
    const socket = await this.connect()
    const got: Buffer[] = []
    socket.on('data', (chunk: Buffer) => {
      got.push(chunk)
      const all = Buffer.concat(got)
      if (all.length < 12 || all.length < 12 + all.readUInt32LE(8)) return
      if (acknowledge) socket.end(Buffer.from([ACKNOWLEDGED]))
      else socket.destroy()
    })
    socket.write(bytes)
    await once(socket, 'close')
    return Buffer.concat(got)
  }

  async connect(): Promise<Socket> {
    const socket = connect(this.socket)
    this.#t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  /** Until requests are answered. */
  async serving(): Promise<void> {
    await this.#node.says('serving CNI requests')
    await this.#node.until(() => this.#node.agent.ready())
  }

  /** What is on the node, and on its disk, of any pod: sorted; nothing, where there is nothing. */
  async traces(): Promise<string[]> {
    const links = this.#node.namespace.json('link', 'show')
    const routes = [...(await this.#node.allRoutes(4)), ...(await this.#node.allRoutes(6))]
    const files = (folder: string) => {
      try {
        return readdirSync(join(this.#node.agent.state, folder))
      } catch {
        return []
      }
    }
    return [
      ...links.map(({ifname}) => ifname).filter(name => /^(veth|mvl-)/.test(name)),
      ...routes.filter(line => / dev veth/.test(line)),
      ...files('journal'),
      ...files('spool'),
    ].sort()
  }

  /** Waits until there are no {@link traces}. What a DEL leaves to be done behind it takes a moment. */
  async clean(): Promise<void> {
    let left: string[] = []
    await this.#node.until(
      async () => {
        left = await this.traces()
        return left.length === 0
      },
      () => `nothing of a pod is left; there is ${left.join(', ')}`,
    )
    this.#t.deepEqual(left, [])
  }

  /** The host's end of a pod's eth0. */
  hostEnd(result: Result): string {
    return result.interfaces.find(({name}) => name.startsWith('veth'))!.name
  }

  /** Lines of the agent's log that tell of trouble. */
  troubles(): string[] {
    return this.#node.agent.logs
      .filter(({level}) => !['info', 'debug'].includes(level))
      .map(line => JSON.stringify(line))
  }
}

/** From inside a namespace, once: whether it was answered within two seconds. */
export async function reaches({name}: Namespace, address: string): Promise<boolean> {
  return run('ip', ['netns', 'exec', name, 'ping', '-n', '-q', '-c', '1', '-W', '2', address]).then(
    () => true,
    () => false,
  )
}
