/** Asks the agent over its admin socket. */
import {type IncomingMessage, request} from 'node:http'
import {ADMIN_ROOT, type AdminAnswers, type AdminError} from '../model/admin.ts'

/** Nobody listens at the socket. Exit status 2. */
export class AgentAbsent extends Error {}

/** Milliseconds. */
const PATIENCE_MS = 10_000

/** Rejects with {@link AgentAbsent}, and with what the agent says. */
export async function ask<K extends keyof AdminAnswers>(
  socketPath: string,
  what: K,
  query: Readonly<Record<string, string>> = {},
): Promise<AdminAnswers[K]> {
  const search = new URLSearchParams(query).toString()
  const {status, text} = await get(socketPath, `${ADMIN_ROOT}${what}${search && `?${search}`}`)
  const body = parse(text)
  if (status === 200 && body !== undefined) return body as AdminAnswers[K]
  const {error} = (body ?? {}) as Partial<AdminError>
  throw new Error(error ?? `what answers at ${socketPath} is no agent of this kind (HTTP status ${status})`)
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  return undefined
}

function get(socketPath: string, path: string): Promise<{status: number | undefined; text: string}> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(failure(socketPath, error))
    const asked = request({socketPath, path, agent: false, signal: AbortSignal.timeout(PATIENCE_MS)})
    asked.on('error', fail)
    asked.on('response', (response: IncomingMessage) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({status: response.statusCode, text}))
      response.on('error', fail)
    })
    asked.end()
  })
}

function failure(path: string, error: NodeJS.ErrnoException): Error {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTSOCK')
    return new AgentAbsent(
      `no agent answers at ${path}: start it, or name its configuration with --config if its folders.run is another one`,
    )
  if (error.code === 'EACCES' || error.code === 'EPERM') return new Error(`${path} is for root alone: run this as root`)
  const late = error.name === 'AbortError' || error.name === 'TimeoutError'
  const why = late ? `it has not answered for ${PATIENCE_MS / 1000} s` : error.message
  return new Error(`the agent at ${path} cannot be asked: ${why}; look into its log`)
}
