/** The unix socket that the shim asks: each request, with the way to answer it. */
import {chmod, mkdir, rename} from 'node:fs/promises'
import {createServer, type Server, type Socket} from 'node:net'
import {dirname} from 'node:path'
import {Observable} from 'rxjs'
import {CniError, formatError} from './error.ts'
import {ACKNOWLEDGED, encodeAnswer, RequestReader, type ShimRequest} from './protocol.ts'

export interface Answer {
  /** Of the shim's process. */
  readonly status: 0 | 1
  /** On its standard output. */
  readonly body: string
}

export interface Incoming {
  readonly request: ShimRequest
  /** `performance.now()` when the shim had connected. */
  readonly at: number
  /** Resolves with whether the runtime has been told: the shim has printed all of it. */
  answer(answer: Answer): Promise<boolean>
}

export interface ServeOptions {
  readonly path: string
  /** Of a connected socket's descriptor: who connected it. */
  readonly credentials: (fd: number) => readonly [pid: number, uid: number, gid: number]
  readonly tell: (problem: string) => void
}

const MODE = {folder: 0o700, socket: 0o600} as const
/** What is said in it is understood by every runtime. */
const NEWEST = '1.0.0'
/** Milliseconds for a request to arrive whole, and for an answer to be taken. */
const PATIENCE_MS = 10_000

/**
 * Emits every request of root. The socket appears under its name when it can be connected to, in the place of any that an
 * earlier agent has left there; it stays when the subscription ends, so that a shim finds nobody rather than nothing.
 */
export function serve({path, credentials, tell}: ServeOptions): Observable<Incoming> {
  return new Observable(subscriber => {
    const sockets = new Set<Socket>()
    const server = createServer({pauseOnConnect: false}, socket => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      const fault = stranger(socket, credentials)
      if (fault !== undefined) {
        tell(fault)
        socket.destroy()
        return
      }
      receive(socket, incoming => subscriber.next(incoming), tell)
    })
    server.on('error', error => subscriber.error(error))
    listen(server, path).catch(error => subscriber.error(error))
    return () => {
      server.close()
      for (const socket of sockets) socket.unref()
    }
  })
}

async function listen(server: Server, path: string): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, {recursive: true, mode: MODE.folder})
  await chmod(folder, MODE.folder)
  const beside = `${path}.${process.pid}`
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({path: beside, backlog: 4096}, resolve)
  })
  await chmod(beside, MODE.socket)
  await rename(beside, path)
}

/** Undefined: it is root. */
function stranger(socket: Socket, credentials: ServeOptions['credentials']): string | undefined {
  const {fd} = (socket as unknown as {_handle: {fd: number}})._handle
  const [pid, uid] = credentials(fd)
  return uid === 0 ? undefined : `process ${pid} of user ${uid} is refused: only root may ask for networks`
}

function receive(socket: Socket, emit: (incoming: Incoming) => void, tell: (problem: string) => void): void {
  const at = performance.now()
  const reader = new RequestReader()
  const late = setTimeout(() => socket.destroy(), PATIENCE_MS)
  socket.on('data', function take(chunk: Buffer) {
    try {
      const request = reader.push(chunk)
      if (!request) return
      clearTimeout(late)
      socket.off('data', take)
      emit({request, at, answer: answer => send(socket, answer)})
    } catch (error) {
      clearTimeout(late)
      socket.off('data', take)
      tell(`a request on the socket is refused: ${(error as Error).message}`)
      const refusal = new CniError('undecodable', (error as Error).message, {cause: error})
      void send(socket, {status: 1, body: formatError(refusal, NEWEST)})
    }
  })
  socket.once('close', () => clearTimeout(late))
}

/** Resolves with whether the shim says that it has printed it. */
function send(socket: Socket, {status, body}: Answer): Promise<boolean> {
  return new Promise(resolve => {
    if (socket.destroyed) return resolve(false)
    const late = setTimeout(() => socket.destroy(), PATIENCE_MS)
    let heard = false
    socket.on('data', (chunk: Buffer) => {
      heard ||= chunk[0] === ACKNOWLEDGED
      if (heard) socket.end()
    })
    socket.once('close', () => {
      clearTimeout(late)
      resolve(heard)
    })
    socket.write(encodeAnswer({status, stdout: Buffer.from(body)}))
  })
}
