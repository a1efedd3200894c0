/** A real etcd that the agents of several nodes share, each by a wire of its own that can be cut. Needs root. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {connect, createServer, type Socket} from 'node:net'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {Etcd3} from 'etcd3'
import type {Namespace} from '../../netlink/namespace.ts'
import {type Etcd, folder, startEtcd} from '../../store/support.ts'
import type {Pki} from './etcd-tls.ts'

/** Of every node's own loopback. */
const PORT = 2379
export const PREFIX = '/ng/pairs-of-a-test'

export interface EtcdPeerOptions {
  readonly pki?: Pki
  /** Who may touch the prefix and nothing else. */
  readonly login?: {readonly user: string; readonly password: string}
}

export interface EtcdPeer {
  /** For the agents' configuration. */
  readonly store: object
  /** Of root, if there are users. */
  readonly client: Etcd3
  /** Before the node's agent starts. */
  lead(node: string, namespace: Namespace): Promise<void>
  /** Connections of these nodes end, and new ones, too. @default all */
  cut(...nodes: string[]): void
  mend(...nodes: string[]): void
  /** Under the prefix, which is left away, sorted: "pairpods/default/x". Signs of life are left out. */
  keys(): Promise<string[]>
  compact(): Promise<void>
  /** Another one, that knows nothing, is there in its place. */
  replace(): Promise<void>
}

export async function startEtcdPeer(t: ExecutionContext, options: EtcdPeerOptions = {}): Promise<EtcdPeer> {
  const {pki, login} = options
  const sockets = await folder(t)
  const wires = new Map<string, Wire>()
  const launch = async () => {
    const etcd = await startEtcd(t.teardown.bind(t), pki?.server)
    return {etcd, client: login ? await protect(t, etcd, options) : etcd.client}
  }
  let now = await launch()
  const named = (nodes: readonly string[]) =>
    nodes.length > 0 ? nodes.map(node => wires.get(node)!) : [...wires.values()]
  return {
    store: {
      type: 'etcd',
      endpoints: [`${pki ? 'https' : 'http'}://127.0.0.1:${PORT}`],
      prefix: PREFIX,
      ...(pki && {tls: pki.agent}),
      ...login,
    },
    get client() {
      return now.client
    },
    lead: async (node, {name}) => {
      const path = join(sockets, `${node}.sock`)
      wires.set(node, await wire(t, path, () => now.etcd.port))
      const words = [join(import.meta.dirname, 'etcd-relay.ts'), path, `${PORT}`]
      const inside = ['--pdeathsig', 'KILL', 'nsenter', `--net=/run/netns/${name}`, process.execPath]
      const relay = spawn('setpriv', [...inside, ...words], {stdio: ['ignore', 'pipe', 'inherit']})
      t.teardown(() => relay.kill('SIGKILL'))
      await once(relay.stdout, 'data')
    },
    cut: (...nodes) => {
      for (const each of named(nodes)) each.cut()
    },
    mend: (...nodes) => {
      for (const each of named(nodes)) each.mend()
    },
    keys: async () => {
      const all = await now.client.getAll().prefix(`${PREFIX}/`).keys()
      return all
        .map(key => key.slice(PREFIX.length + 1))
        .filter(key => !key.startsWith('owners/'))
        .sort()
    },
    compact: async () => {
      const {header} = await now.client.get('x').exec()
      await now.client.kv.compact({revision: header.revision})
    },
    replace: async () => {
      const before = now
      now = await launch()
      await before.etcd.stop()
    },
  }
}

interface Wire {
  cut(): void
  mend(): void
}

/** From a unix socket to a TCP port of this machine. */
async function wire(t: ExecutionContext, path: string, port: () => number): Promise<Wire> {
  const open = new Set<Socket>()
  let whole = true
  const server = createServer(near => {
    if (!whole) return near.destroy()
    const far = connect({host: '127.0.0.1', port: port(), noDelay: true})
    near.pipe(far)
    far.pipe(near)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one
        .on('error', () => {})
        .once('close', () => {
          open.delete(one)
          other.destroy()
        })
    }
  })
  await once(server.listen(path), 'listening')
  const cut = () => {
    whole = false
    for (const socket of open) socket.destroy()
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  return {
    cut,
    mend: () => {
      whole = true
    },
  }
}

/** Users, of whom one has the prefix alone. A client of root's. */
async function protect(t: ExecutionContext, {client, port}: Etcd, {pki, login}: EtcdPeerOptions): Promise<Etcd3> {
  const role = await client.role('netgraft').create()
  await role.grant({permission: 'Readwrite', range: client.range({prefix: `${PREFIX}/`})})
  await (await client.user(login!.user).create(login!.password)).addRole('netgraft')
  await (await client.user('root').create('root')).addRole('root')
  await client.auth.authEnable()
  const root = new Etcd3({
    hosts: `${pki ? 'https' : 'http'}://127.0.0.1:${port}`,
    auth: {username: 'root', password: 'root'},
    ...(pki && {credentials: pki.credentials}),
  })
  t.teardown(() => root.close())
  return root
}
