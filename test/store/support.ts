/** What the stores are tested on: documents, real servers, and a wire between that can be cut. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {type AddressInfo, connect, createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import {Etcd3, GRPCDeadlineExceededError, GRPCUnavailableError, type IOptions} from 'etcd3'
import type {Observable} from 'rxjs'
import type {Document, Kind} from '../../src/model/store.ts'
import type {View} from '../../src/model/view.ts'

export interface Thing extends Document {
  readonly spec: {readonly n: number; readonly pad?: string}
  readonly status?: {readonly state: string}
}

function parse(value: unknown): Thing {
  const {spec} = value as Thing
  if (typeof spec.n !== 'number') throw new TypeError('spec.n is no number')
  return value as Thing
}

export const PAIRS: Kind<Thing> = {plural: 'pairs', kind: 'Pair', namespaced: true, parse}
export const VNIS: Kind<Thing> = {plural: 'vnis', kind: 'Vni', namespaced: false, parse}

export const thing = (n: number, state?: string): Thing => ({
  spec: {n},
  ...(state !== undefined && {status: {state}}),
})

/** Looks until it is so. */
export async function until(what: string, is: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  for (const end = performance.now() + ms; !(await is()); await wait(10))
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
}

export interface Seen<V> {
  readonly views: readonly View<string, V>[]
  /** The keys of the newest view, once it is synced. */
  readonly keys: readonly string[] | undefined
  readonly items: ReadonlyMap<string, V> | undefined
  stop(): void
}

/** Subscribes until the test's end. */
export function look<V>(t: ExecutionContext, view$: Observable<View<string, V>>): Seen<V> {
  const views: View<string, V>[] = []
  const subscription = view$.subscribe(view => views.push(view))
  t.teardown(() => subscription.unsubscribe())
  const items = () => {
    const last = views.at(-1)
    return last?.synced ? last.items : undefined
  }
  return {
    views,
    get items() {
      return items()
    },
    get keys() {
      const known = items()
      return known && [...known.keys()].sort()
    },
    stop: () => subscription.unsubscribe(),
  }
}

/** Collects what an observable tells until the test's end. */
export function heard<T>(t: ExecutionContext, source$: Observable<T>): {readonly all: readonly T[]; stop(): void} {
  const all: T[] = []
  const subscription = source$.subscribe(value => all.push(value))
  t.teardown(() => subscription.unsubscribe())
  return {all, stop: () => subscription.unsubscribe()}
}

export async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ng-store-'))
  t.teardown(() => rm(path, {recursive: true, force: true, maxRetries: 5}))
  return path
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A wire to a TCP port of this machine. */
export interface Wire {
  readonly port: number
  /** Connections end, and new ones are refused. */
  cut(): void
  /** What is asked arrives, and nothing comes back. */
  mute(): void
  /** Whole again: what has been mute before is ended. */
  mend(): Promise<void>
}

/** `address`: where it begins. */
export async function wire(t: ExecutionContext, target: number, address = '127.0.0.1'): Promise<Wire> {
  const open = new Set<() => void>()
  let [whole, mute, port] = [true, false, 0]
  const server = createServer({noDelay: true}, near => {
    const far = connect({host: '127.0.0.1', port: target})
    const end = () => {
      near.destroy()
      far.destroy()
      open.delete(end)
    }
    open.add(end)
    for (const socket of [near, far]) socket.on('error', () => {}).once('close', end)
    near.pipe(far)
    far.on('data', chunk => mute || near.write(chunk))
    if (!whole) end()
  })
  const endAll = () => {
    for (const end of open) end()
  }
  const listen = async () => {
    await once(server.listen(port, address), 'listening')
    ;({port} = server.address() as AddressInfo)
  }
  await listen()
  const cut = () => {
    if (whole) server.close()
    whole = false
    endAll()
  }
  t.teardown(cut)
  return {
    port,
    cut,
    mute: () => {
      mute = true
    },
    mend: async () => {
      if (mute) endAll()
      mute = false
      if (!whole) await listen()
      whole = true
    },
  }
}

export interface Etcd {
  readonly port: number
  /** Another client, of root if it has one. */
  readonly client: Etcd3
  /** As it was, on the same port and data. */
  stop(): Promise<void>
  start(): Promise<void>
}

/** Files, PEM. */
export interface EtcdTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A real one, with a data folder of its own. `end` is told how to remove it. */
export async function startEtcd(end: (remove: () => Promise<void>) => void, tls?: EtcdTls): Promise<Etcd> {
  const data = await mkdtemp(join(tmpdir(), 'ng-etcd-'))
  const [port, peerPort] = [await freePort(), await freePort()]
  const [url, peer] = [`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`]
  const args = [
    ...['--data-dir', join(data, 'data'), '--name', 'ng', '--logger', 'zap', '--log-level', 'error'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `ng=${peer}`],
    ...(tls ? ['--cert-file', tls.cert, '--key-file', tls.key, '--trusted-ca-file', tls.ca, '--client-cert-auth'] : []),
  ]
  const credentials = tls && {
    rootCertificate: await readFile(tls.ca),
    certChain: await readFile(tls.cert),
    privateKey: await readFile(tls.key),
  }
  const client = new Etcd3({hosts: url, ...(credentials && {credentials})})
  let child: ChildProcess | undefined
  const stop = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  end(async () => {
    client.close()
    await stop()
    await rm(data, {recursive: true, force: true, maxRetries: 5})
  })
  const start = async () => {
    child = spawn('etcd', args, {stdio: 'ignore'})
    await until('etcd answers', () => answers(url, credentials))
  }
  await start()
  return {port, client, stop, start}
}

async function answers(hosts: string, credentials: IOptions['credentials']): Promise<boolean> {
  const client = new Etcd3({hosts, ...(credentials && {credentials})})
  try {
    await client.kv.range({key: Buffer.from('x')}, {deadline: Date.now() + 1000})
    return true
  } catch (error) {
    return !(error instanceof GRPCUnavailableError || error instanceof GRPCDeadlineExceededError)
  } finally {
    client.close()
  }
}
