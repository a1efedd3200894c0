/** Who serves a socket: called on a connection that lasts as long as somebody uses it. */
import {stat} from 'node:fs/promises'
import {quoted} from '../model/errors.ts'
import {CriError} from './error.ts'
import type {Connection, Failure} from './grpc.ts'
import type {Calls, Method} from './messages.ts'

export interface PeerOptions {
  /** For sentences: 'the container runtime'. */
  readonly title: string
  /** The first one that is there is used. */
  readonly sockets: readonly string[]
  /** Which key of the configuration names them. */
  readonly key: string
  /** Milliseconds that a call may take, from connecting on. */
  readonly deadline: number
}

/** Rejects with CriError, or with the signal's reason. undefined: the peer does not know what the question is about. */
export type Call = <M extends Method>(
  method: M,
  request: Calls[M]['request'],
) => Promise<Calls[M]['answer'] | undefined>

export interface Peer {
  /** Calls that belong together; `socket` is for sentences. Those under way at the same time share a connection. */
  use<T>(work: (call: Call, socket: string) => Promise<T>, signal: AbortSignal): Promise<T>
  /** What is under way fails as unavailable. */
  close(): void
}

interface Line {
  readonly socket: string
  readonly connection: Connection
}

/**
 * Nothing is kept between uses, so a runtime that has been started anew, or another one in its place, is found without
 * further ado: connecting costs less than telling whether an old connection still lives.
 */
export function openPeer(options: PeerOptions): Peer {
  const {title, deadline} = options
  const closed = new AbortController()
  let shared: {readonly line: Promise<Line>; users: number} | undefined

  return {
    async use(work, signal) {
      const stop = AbortSignal.any([signal, closed.signal])
      stop.throwIfAborted()
      shared ??= {line: connectLine(options), users: 0}
      const mine = shared
      mine.users++
      try {
        const {connection, socket} = await mine.line
        const call: Call = async (method, request) => {
          stop.throwIfAborted()
          try {
            return await connection.call(method, request, {deadline, signal: stop})
          } catch (error) {
            stop.throwIfAborted()
            if ((error as Failure).kind === 'missing') return
            throw sentence(error as Failure, {...options, socket, method})
          }
        }
        return await work(call, socket)
      } catch (error) {
        // Others go on with it; who comes now gets a new one.
        if (shared === mine) shared = undefined
        throw error
      } finally {
        if (--mine.users === 0) {
          if (shared === mine) shared = undefined
          mine.line.then(
            ({connection}) => connection.close(),
            () => {},
          )
        }
      }
    },
    close: () => closed.abort(new CriError('unavailable', `the connection to ${title} has been closed by ourselves`)),
  }
}

async function connectLine({title, sockets, key}: PeerOptions): Promise<Line> {
  for (const socket of sockets) {
    const there = await stat(socket).then(
      found => found.isSocket(),
      error => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
    )
    if (!there) continue
    const {connect} = await import('./grpc.ts').catch(cause => {
      const why = `${title} at ${socket} cannot be asked, because our gRPC cannot be loaded`
      throw new CriError('unavailable', `${why}: install all files of Netgraft together`, {cause})
    })
    return {socket, connection: connect(socket)}
  }
  const where = sockets.length > 0 ? sockets.join(' or ') : 'no path at all'
  throw new CriError('absent', `${title} has no socket at ${where}: name its socket in ${key}`)
}

function sentence(
  {kind, details, cause}: Failure,
  {title, socket, method, deadline, key}: PeerOptions & {socket: string; method: Method},
): CriError {
  const who = `${title} at ${socket}`
  const [, service, name] = method.split('/')
  const told = details ? `: ${quoted(details)}` : ''
  switch (kind) {
    case 'silent':
      return new CriError(
        'unavailable',
        `${who} gave no answer to ${name} for ${deadline / 1000} s: is it overloaded?`,
        {
          cause,
        },
      )
    case 'unknown':
      return new CriError(
        'protocol',
        `${who} does not serve ${service}: is ${key} the right socket, and is it enabled?`,
        {
          cause,
        },
      )
    case 'nonsense':
      return new CriError('protocol', `${who} answered ${name} with something that is no answer${told}`, {cause})
    default:
      return new CriError('unavailable', `${who} refused ${name}${told}`, {cause})
  }
}
