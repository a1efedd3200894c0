/** The unix socket that the shim asks: each request, with the way to answer it. */
import {randomBytes} from 'node:crypto'
import {chmod, rename} from 'node:fs/promises'
import {createServer, type Server, type Socket} from 'node:net'
import {dirname, join} from 'node:path'
import {Observable} from 'rxjs'
import {InvalidInput, quoted} from '../model/errors.ts'
import {makeFolder} from '../model/make-folder.ts'
import {CniError, formatError} from './error.ts'
import {ACKNOWLEDGED, encodeAnswer, NewerRequest, RequestReader, type ShimRequest} from './protocol.ts'

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
  /** Leaves it unanswered: the shim asks whoever comes after us. */
  leave(): void
}

export interface ServeOptions {
  readonly path: string
  /** Of a connected socket's descriptor: who connected it. */
  readonly credentials: (fd: number) => readonly [pid: number, uid: number, gid: number]
  readonly tell: (problem: string) => void
  /** From now on it can be connected to. */
  readonly listening?: () => void
  /** Milliseconds for a request to arrive whole, and for an answer to be taken. @default 10_000 */
  readonly patienceMs?: number
}

const MODE = {folder: 0o700, socket: 0o600} as const
/** What is said in it is understood by every runtime. */
const NEWEST = '1.0.0'
const PATIENCE_MS = 10_000
/** Of sockaddr_un's path, without the final zero; Node would bind a shorter one without a word. linux/un.h. */
const PATH_MAX_BYTES = 107

/**
 * Emits every request of root. The socket appears under its name when it can be connected to, in the place of any that an
 * earlier agent has left there; it stays when the subscription ends, so that a shim finds nobody rather than nothing.
 */
export function serve({
  path,
  credentials,
  tell,
  listening,
  patienceMs = PATIENCE_MS,
}: ServeOptions): Observable<Incoming> {
  return new Observable(subscriber => {
    /** Whose request is not whole yet, and whose has been emitted. */
    const asking = new Set<Socket>()
    const asked = new Set<Socket>()
    let isNewerTold = false
    const newer = (problem: string): void => {
      if (!isNewerTold) tell(problem)
      isNewerTold = true
    }
    const server = createServer({pauseOnConnect: false}, socket => {
      asking.add(socket)
      socket.once('close', () => {
        asking.delete(socket)
        asked.delete(socket)
      })
      socket.on('error', () => socket.destroy())
      const fault = stranger(socket, credentials)
      if (fault !== undefined) {
        tell(fault)
        socket.destroy()
        return
      }
      const emit = (incoming: Incoming): void => {
        asking.delete(socket)
        asked.add(socket)
        subscriber.next(incoming)
      }
      receive(socket, {emit, tell, newer, patienceMs})
    })
    server.on('error', error => subscriber.error(error))
    listenAt(server, path, () => subscriber.closed).then(
      () => subscriber.closed || listening?.(),
      error => subscriber.error(error),
    )
    return () => {
      server.close()
      // The shim sends it again, to whoever serves then.
      for (const socket of asking) socket.destroy()
      for (const socket of asked) socket.unref()
    }
  })
}

/** For root alone, under its name once it can be connected to. Rejects with what the system says, and with InvalidInput. */
export async function listenAt(server: Server, path: string, cancelled: () => boolean): Promise<void> {
  // Nobody else has it, in whatever process namespace: what is closed takes its first name away.
  const beside = join(dirname(path), `.${randomBytes(3).toString('hex')}`)
  if ([path, beside].some(each => Buffer.byteLength(each) > PATH_MAX_BYTES))
    throw new InvalidInput(
      `the socket's path ${quoted(path)} has more than ${PATH_MAX_BYTES} bytes; give it a shorter folder`,
    )
  // A folder that is there already may be others', too: it stays as it is.
  await makeFolder(dirname(path), MODE.folder)
  if (cancelled()) return
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('close', resolve)
    server.listen({path: beside, backlog: 4096}, resolve)
  })
  if (cancelled()) return
  await chmod(beside, MODE.socket)
  await rename(beside, path)
}

/** Undefined: it is root. */
function stranger(socket: Socket, credentials: ServeOptions['credentials']): string | undefined {
  const {fd} = (socket as unknown as {_handle: {fd: number}})._handle
  const [pid, uid] = credentials(fd)
  return uid === 0 ? undefined : `process ${pid} of user ${uid} is refused: only root may ask for networks`
}

interface Receiver {
  readonly emit: (incoming: Incoming) => void
  readonly tell: (problem: string) => void
  /** Likewise, of a plugin that is newer than we are. */
  readonly newer: (problem: string) => void
  readonly patienceMs: number
}

function receive(socket: Socket, {emit, tell, newer, patienceMs}: Receiver): void {
  const at = performance.now()
  const reader = new RequestReader()
  const late = setTimeout(() => socket.destroy(), patienceMs).unref()
  socket.on('data', function take(chunk: Buffer) {
    try {
      const request = reader.push(chunk)
      if (!request) return
      clearTimeout(late)
      socket.off('data', take)
      emit({
        request,
        at,
        leave: () => void socket.destroy(),
        answer: answer => send(socket, answer, {tell, patienceMs}),
      })
    } catch (error) {
      clearTimeout(late)
      socket.off('data', take)
      // It asks again and again until its time is over, or that agent is there.
      if (error instanceof NewerRequest) {
        newer(error.message)
        socket.destroy()
        return
      }
      tell(`a request on the socket is refused: ${(error as Error).message}`)
      const refusal = new CniError('undecodable', (error as Error).message, {cause: error})
      void send(socket, refused(refusal), {tell, patienceMs})
    }
  })
  socket.once('close', () => clearTimeout(late))
}

const refused = (error: CniError): Answer => ({status: 1, body: formatError(error, NEWEST)})

/** Resolves with whether the shim says that it has printed it. */
function send(
  socket: Socket,
  answer: Answer,
  {tell, patienceMs}: Pick<Receiver, 'tell' | 'patienceMs'>,
): Promise<boolean> {
  return new Promise(resolve => {
    if (socket.destroyed) return resolve(false)
    const late = setTimeout(() => socket.destroy(), patienceMs).unref()
    const {bytes, whole} = encode(answer, tell)
    socket.on('data', (chunk: Buffer) => {
      if (chunk[0] !== ACKNOWLEDGED) return
      resolve(whole)
      socket.end()
    })
    socket.once('close', () => {
      clearTimeout(late)
      resolve(false)
    })
    socket.write(bytes)
  })
}

/** `whole`: it says what was to be said, and not that this is more than the shim takes. */
function encode({status, body}: Answer, tell: Receiver['tell']): {bytes: Buffer; whole: boolean} {
  try {
    return {bytes: encodeAnswer({status, stdout: Buffer.from(body)}), whole: true}
  } catch (cause) {
    tell(`an answer cannot be given: ${(cause as Error).message}`)
    const {status, body} = refused(new CniError('failed', (cause as Error).message, {cause}))
    return {bytes: encodeAnswer({status, stdout: Buffer.from(body)}), whole: false}
  }
}
