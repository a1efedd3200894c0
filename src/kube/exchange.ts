/** One HTTP request, and its answer as chunks. */
import {once} from 'node:events'
import http, {type IncomingMessage} from 'node:http'
import https from 'node:https'
import {pipeline} from 'node:stream'
import {createGunzip} from 'node:zlib'
import {ApiError} from '../streams/list-watch.ts'
import type {Access} from './credentials.ts'
import {connectionFailure, refusal, timeout} from './failure.ts'

export interface Exchange {
  readonly method: string
  /** From the API's root: "/api/v1/nodes". */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Milliseconds without a sign of life, from connecting on. */
  readonly timeoutMs: number
  /** The answer may pause for as long as it likes once it has begun: a watch. */
  readonly endless?: boolean
}

/** Characters of a refusal's text. */
const MAX_REFUSAL = 64 * 1024

/** Throws an ApiError, or the signal's reason when that aborts. Leaving early closes the connection. */
export async function* exchange(
  {server, options}: Access,
  {method, path, query = {}, headers = {}, body, timeoutMs, endless = false}: Exchange,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const what = `${method} ${path}`
  // Node says how long it is only for methods that usually have a body, which DELETE is not.
  const length = body === undefined ? {} : {'Content-Length': Buffer.byteLength(body)}
  const request = (server.protocol === 'http:' ? http : https).request(urlOf(server, path, query), {
    ...options,
    method,
    headers: {Accept: 'application/json', 'User-Agent': 'netgraft', ...length, ...options.headers, ...headers},
    signal,
  })
  // An error after the answer has begun also comes out of the answer; without a listener it would end the process.
  request.on('error', () => {})
  let response: IncomingMessage | undefined
  const expire = () => (response ?? request).destroy(timeout(server, what, timeoutMs))
  const timer = setTimeout(expire, timeoutMs)
  try {
    request.end(body)
    ;[response] = (await once(request, 'response')) as [IncomingMessage]
    if (response.statusCode! >= 300) throw await readRefusal(server, what, response)
    if (endless) clearTimeout(timer)
    for await (const chunk of decoded(response)) {
      if (!endless) timer.refresh()
      yield chunk
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof ApiError ? error : connectionFailure(server, error)
  } finally {
    clearTimeout(timer)
    if (!response?.complete) request.destroy()
  }
}

function urlOf(server: URL, path: string, query: NonNullable<Exchange['query']>): URL {
  const url = new URL(server)
  url.pathname = server.pathname.replace(/\/$/, '') + path
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, `${value}`)
  }
  return url
}

function decoded(response: IncomingMessage): AsyncIterable<Buffer> {
  if (response.headers['content-encoding'] !== 'gzip') return response
  // The iteration throws what the pipeline's callback would tell.
  return pipeline(response, createGunzip(), () => {})
}

async function readRefusal(server: URL, what: string, response: IncomingMessage): Promise<ApiError> {
  const {statusCode: httpStatus, headers} = response
  let text = ''
  for await (const chunk of decoded(response)) {
    text += chunk
    if (text.length > MAX_REFUSAL) break
  }
  return refusal(server, what, parseStatus(text), {httpStatus, retryAfter: headers['retry-after']})
}

/** A proxy's page is no Status: its beginning will do. */
function parseStatus(text: string): object {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {message: text.slice(0, 200).trim() || undefined}
  }
}
