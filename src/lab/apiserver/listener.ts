/** The sockets: they can be closed, and opened again at the same address. */
import {once} from 'node:events'
import {createServer, type RequestListener, type Server} from 'node:http'
import {createServer as createTlsServer} from 'node:https'
import type {AddressInfo} from 'node:net'

export interface ListenOptions {
  host?: string
  port?: number
  socketPath?: string
  tls?: {key: string; cert: string}
}

/** Longer than clients keep idle connections, so that they do not send into one that is just being closed. */
const TIMING = {keepAliveTimeout: 120_000}

export class Listener {
  readonly #servers: readonly {server: Server; at: {path: string} | {host: string; port: number}}[]
  readonly #name: string

  constructor({host = '127.0.0.1', port, socketPath, tls}: ListenOptions, onRequest: RequestListener) {
    const newServer = () => (tls ? createTlsServer({...tls, ...TIMING}, onRequest) : createServer(TIMING, onRequest))
    const socket = socketPath === undefined ? [] : [{server: newServer(), at: {path: socketPath}}]
    const tcp = socketPath && port === undefined ? [] : [{server: newServer(), at: {host, port: port ?? 0}}]
    this.#servers = [...tcp, ...socket]
    this.#name = tcp.length
      ? `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}`
      : `unix:${socketPath}`
  }

  /** The TCP port, 0 without; known when it is up. */
  get port(): number {
    const {at} = this.#servers[0]!
    return 'port' in at ? at.port : 0
  }

  get url(): string {
    return this.port ? `${this.#name}:${this.port}` : this.#name
  }

  async up(): Promise<void> {
    for (const {server, at} of this.#servers) {
      if (server.listening) continue
      server.listen(at)
      await once(server, 'listening')
      if ('port' in at) at.port = (server.address() as AddressInfo).port
    }
  }

  /** Cuts the open connections too. */
  async down(): Promise<void> {
    for (const {server} of this.#servers.filter(each => each.server.listening)) {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
  }
}
