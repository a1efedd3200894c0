/** etcd itself. Loaded at its first use only: few agents need it, and it takes as much memory as everything else. */
import {
  castGrpcError,
  Etcd3,
  GRPCUnavailableError,
  type IOptions,
  type IRangeRequest,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
  WatchClient,
} from 'etcd3'
import {failed, failureOf, isFailure} from './etcd-failure.ts'
import {avoiding, once} from './etcd-policy.ts'
import {namelessAddresses} from './etcd-tls.ts'

export interface EtcdSettings {
  /** "http://127.0.0.1:2379"; all of them http, or all https. */
  readonly endpoints: readonly string[]
  /** PEM. @default the authorities that Node knows, no certificate of ours */
  readonly tls?: {
    readonly ca?: Buffer | undefined
    readonly cert?: Buffer | undefined
    readonly key?: Buffer | undefined
  }
  readonly auth?: {readonly user: string; readonly password: string}
}

export interface CallLimits {
  /** Milliseconds, all attempts together. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

export interface KeyValue {
  readonly key: Buffer
  readonly value: Buffer
  readonly revision: string
  /** "0": none. */
  readonly lease: string
}

export interface RangeAnswer {
  readonly revision: string
  readonly items: readonly KeyValue[]
  readonly more: boolean
}

export type WatchAnswer =
  | {readonly type: 'change'; readonly item: KeyValue; readonly deleted: boolean}
  /** Everything up to this revision has been told; none: just a sign of life. */
  | {readonly type: 'progress'; readonly revision?: string}

export type {ITxnRequest, ITxnResponse}

/** Everything rejects with a Failure, or with the signal's reason when that aborts. */
export interface EtcdConnection {
  range(request: IRangeRequest, limits: CallLimits): Promise<RangeAnswer>
  txn(request: ITxnRequest, limits: CallLimits): Promise<ITxnResponse>
  /** Seconds. The lease's id. */
  grant(ttl: number, limits: CallLimits): Promise<string>
  /** False: there is no such lease any more. */
  keepAlive(lease: string, limits: CallLimits): Promise<boolean>
  /** From a revision on. Throws what calls reject with; "compacted" if that cannot be had. Ends as connections do. */
  watch(range: {key: Buffer; range_end: Buffer; from: string}, signal: AbortSignal): AsyncIterable<WatchAnswer>
  close(): void
}

/** Milliseconds. etcd takes pings every 5 s, and cuts who sends more. */
const KEEPALIVE = {'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 5000}
/** Milliseconds. gRPC's own would be 1 s to 2 min. */
const RECONNECT = {'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 2000}
/** Bytes of an answer: a page of the largest documents is somewhat more, a page of ours a thousandth. */
const MAX_ANSWER = 64 * 1024 * 1024
/** Milliseconds between questions whether a quiet watch still lives: less than the reflector waits. */
const PROGRESS_MS = 30_000
/** Milliseconds that a token for a watch may take. */
const TOKEN_MS = 5000

/** Its own watcher does not survive a compaction. */
class Etcd extends Etcd3 {
  constructor(options: IOptions) {
    super(options)
    namelessAddresses(this.pool)
  }

  watches(): WatchClient {
    return new WatchClient(this.pool)
  }
}

export function connect({endpoints, tls, auth}: EtcdSettings): EtcdConnection {
  const attempts = endpoints.length
  let deadline = Date.now()
  const options: IOptions = {
    hosts: [...endpoints],
    grpcOptions: {
      ...KEEPALIVE,
      ...RECONNECT,
      'grpc.max_receive_message_length': MAX_ANSWER,
      'grpc.primary_user_agent': 'netgraft',
      'grpc.enable_channelz': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
    },
    // Its own way is to try everything three times, also what may have been done already.
    faultHandling: {global: once(), host: avoiding(attempts)},
    ...(endpoints[0]?.startsWith('https:') && {credentials: tlsOptions(tls ?? {})}),
    ...(auth && {
      auth: {username: auth.user, password: auth.password, callOptions: () => ({deadline})},
    }),
  }
  const etcd = new Etcd(options)
  const watches = etcd.watches()

  /** Tries as many endpoints as there are, as long as nobody got the question. */
  async function call<T>(ask: (options: {deadline: number}) => Promise<T>, limits: CallLimits): Promise<T> {
    const {deadlineMs, signal} = limits
    signal.throwIfAborted()
    deadline = Math.max(deadline, Date.now() + deadlineMs)
    const mine = {deadline: Date.now() + deadlineMs}
    const until = performance.now() + deadlineMs
    for (let attempt = 1; ; attempt++) {
      try {
        return await within(ask(mine), {deadlineMs: until - performance.now(), signal})
      } catch (error) {
        signal.throwIfAborted()
        const failure = failureOf(error)
        if (failure.kind !== 'unsent' || attempt >= attempts || performance.now() >= until) throw failure
      }
    }
  }

  return {
    range: async (request, limits) => {
      const {header, kvs, more} = await call(options => etcd.kv.range(request, options), limits)
      return {revision: header.revision, items: kvs.map(keyValue), more}
    },
    txn: (request, limits) => call(options => etcd.kv.txn(request, options), limits),
    grant: async (ttl, limits) => {
      const {ID} = await call(options => etcd.leaseClient.leaseGrant({TTL: ttl}, options), limits)
      return ID
    },
    keepAlive: (lease, limits) =>
      call(async options => {
        const stream = await etcd.leaseClient.leaseKeepAlive(options)
        try {
          const answer = new Promise<{TTL: string}>((resolve, reject) => {
            stream.on('data', resolve)
            stream.on('error', reject)
            stream.on('end', () => reject(new GRPCUnavailableError('the stream has ended')))
          })
          stream.write({ID: lease})
          return (await answer).TTL !== '0'
        } finally {
          stream.end()
        }
      }, limits),
    watch: async function* (range, signal) {
      // A stream does not get a new token when its own has expired; a call does.
      if (auth) await call(options => etcd.kv.range({key: range.key}, options), {deadlineMs: TOKEN_MS, signal})
      yield* watch(watches, range, signal)
    },
    close: () => etcd.close(),
  }
}

async function* watch(
  watches: WatchClient,
  {key, range_end, from}: {key: Buffer; range_end: Buffer; from: string},
  signal: AbortSignal,
): AsyncGenerator<WatchAnswer, void, undefined> {
  let stop = () => {}
  try {
    signal.throwIfAborted()
    const stream = await watches.watch()
    const asking = setInterval(() => stream.write({progress_request: {}}), PROGRESS_MS)
    stop = () => {
      clearInterval(asking)
      signal.removeEventListener('abort', stop)
      // Also of a stream that has been cancelled comes an error, which nobody may be left to hear.
      stream.on('error', () => {})
      stream.cancel()
    }
    signal.addEventListener('abort', stop)
    const create = {key, range_end, start_revision: from, progress_notify: true}
    stream.write({create_request: create} as IWatchRequest)
    for await (const answer of stream as unknown as AsyncIterable<IWatchResponse>) {
      const {created, canceled, compact_revision, cancel_reason, header, watch_id, events} = answer
      // A server whose revision is behind ours is another one, or was given back an old state.
      const behind = created && BigInt(header.revision) + 1n < BigInt(from)
      if (compact_revision !== '0' || behind) throw failed('compacted', cancel_reason || 'its revision went back')
      if (canceled) throw castGrpcError(new Error(cancel_reason || 'the watch was cancelled'))
      for (const {type, kv} of events) yield {type: 'change', item: keyValue(kv), deleted: `${type}` === 'Delete'}
      // The answer to a question for progress may overtake changes (etcd before 3.4.25 and 3.5.8): it says no revision.
      const own = !created && watch_id !== NO_WATCH
      if (events.length === 0) yield {type: 'progress', ...(own && {revision: header.revision})}
    }
  } catch (error) {
    signal.throwIfAborted()
    throw isFailure(error) ? error : failureOf(error)
  } finally {
    stop()
  }
}

/** InvalidWatchID, of answers that concern no single watch. */
const NO_WATCH = '-1'

const keyValue = ({
  key,
  value,
  mod_revision,
  lease,
}: {
  key: Buffer
  value: Buffer
  mod_revision: string
  lease: string
}) => ({
  key,
  value,
  revision: mod_revision,
  lease,
})

function tlsOptions({ca, cert, key}: NonNullable<EtcdSettings['tls']>): NonNullable<IOptions['credentials']> {
  // gRPC takes null for "those that everybody trusts".
  return {rootCertificate: (ca ?? null) as Buffer, ...(cert && key && {certChain: cert, privateKey: key})}
}

async function within<T>(work: Promise<T>, {deadlineMs, signal}: CallLimits): Promise<T> {
  const {promise, reject} = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  const timer = setTimeout(() => reject(failed('lost', NO_ANSWER)), Math.max(0, deadlineMs))
  signal.addEventListener('abort', abort, {once: true})
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    work.catch(() => {})
  }
}

const NO_ANSWER = 'no answer came'
