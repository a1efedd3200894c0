/** gRPC itself. Loaded at its first use only: most agents never need it, and it takes 20 MB. */
import type {Socket} from 'node:net'
import {type ChannelCredentials, Client, credentials, status} from '@grpc/grpc-js'
import {fromJSON, type ServiceDefinition} from '@grpc/proto-loader'
import {type Calls, descriptors, type Method} from './messages.ts'

/** Bytes of an answer. As much as the kubelet takes. */
const MAX_ANSWER = 16 * 1024 * 1024

export interface Connection {
  /** Rejects with a {@link Failure}; with the signal's reason when that aborts. `deadline`: milliseconds from now. */
  call<M extends Method>(
    method: M,
    request: Calls[M]['request'],
    {deadline, signal}: {readonly deadline: number; readonly signal: AbortSignal},
  ): Promise<Calls[M]['answer']>
  close(): void
}

export interface Failure {
  /** nonsense: what came is no answer to the question. missing: no such thing. unknown: no such method. */
  readonly kind: 'refused' | 'silent' | 'missing' | 'unknown' | 'nonsense'
  /** The peer's own words, or gRPC's. */
  readonly details: string
  readonly cause: Error
}

const KINDS: {readonly [code: number]: Failure['kind']} = {
  [status.DEADLINE_EXCEEDED]: 'silent',
  [status.NOT_FOUND]: 'missing',
  [status.UNIMPLEMENTED]: 'unknown',
}

const services = fromJSON(descriptors as unknown as Parameters<typeof fromJSON>[0], {defaults: true, longs: String})

/** Connects with the first call. */
export function connect(path: string): Connection {
  const sockets = new Set<Socket>()
  const client = new Client(`unix:${path}`, insecure(sockets), {
    'grpc.max_receive_message_length': MAX_ANSWER,
    'grpc.primary_user_agent': 'netgraft',
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // Clients of one socket do not share a connection: what one sees of it is no news to the next.
    'grpc.use_local_subchannel_pool': 1,
  })
  return {
    call: (method, request, {deadline, signal}) =>
      new Promise((resolve, reject) => {
        const {encode, decode} = codecOf(method)
        const abort = () => call.cancel()
        const call = client.makeUnaryRequest(
          method,
          encode,
          decode,
          request,
          {deadline: Date.now() + deadline},
          (error, answer) => {
            signal.removeEventListener('abort', abort)
            if (signal.aborted) reject(signal.reason)
            else if (error) reject({kind: KINDS[error.code] ?? 'refused', details: stable(error.details), cause: error})
            else if (answer instanceof Error) reject({kind: 'nonsense', details: answer.message, cause: answer})
            else resolve(answer!)
          },
        )
        signal.addEventListener('abort', abort, {once: true})
      }),
    close: () => {
      client.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/**
 * Tells the sockets. gRPC itself does not close one that it has connected and whose peer has never said a word, so that
 * each call to a runtime that hangs would cost a descriptor.
 */
function insecure(sockets: Set<Socket>): ChannelCredentials {
  const plain = credentials.createInsecure()
  const create = plain._createSecureConnector.bind(plain)
  plain._createSecureConnector = (...args) => {
    const connector = create(...args)
    return {
      ...connector,
      connect: socket => {
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        return connector.connect(socket)
      },
    }
  }
  return plain
}

/** The same for the same trouble: gRPC adds when it tried, and an empty remark. */
const stable = (details: string): string =>
  details.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/, '').replace(/\. Resolution note: $/, '')

function codecOf<M extends Method>(method: M) {
  const [, service, name] = method.split('/') as [string, string, string]
  const {requestSerialize, responseDeserialize} = (services[service] as ServiceDefinition)[name]!
  return {
    encode: requestSerialize,
    /** Does not throw: gRPC would call that an internal error, which is what peers call many of their own, too. */
    decode: (bytes: Buffer): Calls[M]['answer'] | Error => {
      try {
        return responseDeserialize(bytes) as Calls[M]['answer']
      } catch (error) {
        return error as Error
      }
    },
  }
}
