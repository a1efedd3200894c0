/** HTTP over the admin socket, for root alone. */
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import {Observable} from 'rxjs'
import {listenAt} from '../cni/server.ts'
import {ADMIN_ROOT, type AdminAnswers, type AdminError} from '../model/admin.ts'
import {InvalidInput} from '../model/errors.ts'

/** What is asked cannot be answered as it is asked: a sentence that says what to do. */
export class AdminRefusal extends InvalidInput {}

export interface AdminServerOptions {
  /** Of the socket. */
  readonly path: string
  readonly answers: {
    readonly [K in keyof AdminAnswers]: (query: URLSearchParams) => Promise<AdminAnswers[K]>
  }
}

/** Milliseconds and bytes: as of the health server, a peer that trickles is cut off. */
const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 1_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
}
const IDLE_MS = 15_000
const MAX_CONNECTIONS = 32

/**
 * Listens while subscribed; emits once it does. The socket takes the place of any that an earlier agent has left, and
 * stays when the subscription ends, so that whoever asks hears that nobody listens. Fails with what the system says.
 */
export const serveAdmin = ({path, answers}: AdminServerOptions): Observable<undefined> =>
  new Observable(subscriber => {
    const server = createServer(LIMITS, (request, response) => {
      answer(request, answers).then(
        body => send(request, response, 200, body),
        error =>
          send(request, response, error instanceof HttpError ? error.status : statusOf(error), {error: error.message}),
      )
    })
    server.maxConnections = MAX_CONNECTIONS
    server.setTimeout(IDLE_MS, socket => socket.destroy())
    server.on('error', error => subscriber.error(error))
    listenAt(server, path, () => subscriber.closed).then(
      () => subscriber.next(undefined),
      error => subscriber.error(error),
    )
    return () => {
      server.close()
      server.closeAllConnections()
    }
  })

class HttpError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const statusOf = (error: unknown): number => (error instanceof AdminRefusal ? 400 : 500)

async function answer({method, url = ''}: IncomingMessage, answers: AdminServerOptions['answers']): Promise<object> {
  const asked = URL.canParse(url, 'http://agent') ? new URL(url, 'http://agent') : undefined
  const name = asked?.pathname.startsWith(ADMIN_ROOT) ? asked.pathname.slice(ADMIN_ROOT.length) : ''
  if (!asked || !Object.hasOwn(answers, name)) {
    const paths = Object.keys(answers).map(each => `${ADMIN_ROOT}${each}`)
    throw new HttpError(404, `there is no such path; there are ${paths.join(', ')}`)
  }
  if (method !== 'GET') throw new HttpError(405, 'only GET: nothing can be changed here')
  return answers[name as keyof AdminAnswers](asked.searchParams)
}

function send(request: IncomingMessage, response: ServerResponse, status: number, body: object | AdminError): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(status === 405 && {allow: 'GET'}),
    // Nothing reads a body; whoever sends one gets its answer and no second one.
    ...(request.method !== 'GET' && {connection: 'close'}),
  })
  response.end(text)
}
