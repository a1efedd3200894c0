/** What a request is made of: its path, its headers, its body. */
import type {IncomingMessage} from 'node:http'
import {badRequest, noSuchPath, tooLarge} from './errors.ts'
import {type Place, type Registry, servesStatus} from './resources.ts'

/** Bytes. The real server's limit for a request's body. */
const BODY_LIMIT = 3 * 1024 * 1024

/** Reads on over the limit, up to a point, because a client that still writes does not hear the refusal. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= BODY_LIMIT) chunks.push(chunk)
    else if (size > 10 * BODY_LIMIT) break
  }
  if (size > BODY_LIMIT) throw tooLarge(BODY_LIMIT)
  return Buffer.concat(chunks)
}

export function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch (cause) {
    throw badRequest(`couldn't read the body as JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
}

/** In lower case, without parameters; empty when the client does not say. */
export const mediaType = ({headers}: IncomingMessage): string =>
  (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()

export const bearer = ({headers}: IncomingMessage): string =>
  /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''

export function segmentsOf(path: string): string[] {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    throw badRequest(`the path ${path} is not encoded as a URL's`)
  }
}

/** The resource that a path names; undefined when it is not under a version of a group. */
export function placeOf(registry: Registry, [root, ...path]: readonly string[]): Place | undefined {
  const [group, version, ...rest] = root === 'api' ? ['', ...path] : path
  if ((root !== 'api' && root !== 'apis') || group === undefined || version === undefined || rest.length === 0)
    return undefined
  // /namespaces/x/status is the namespace's own; with anything else behind it, the namespace is where that lives.
  const inside = rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status'
  const [plural, name, sub, ...more] = inside ? rest.slice(2) : rest
  const namespace = inside ? rest[1] : undefined
  const resource = registry.find(group, version, plural!)
  if (!resource || more.length > 0 || (inside && !resource.namespaced)) throw noSuchPath()
  if (name !== undefined && resource.namespaced && !inside) throw noSuchPath()
  const binding = sub === 'binding' && resource.id === 'pods'
  if (sub !== undefined && !binding && (sub !== 'status' || !servesStatus(resource, version))) throw noSuchPath()
  return {resource, version, namespace, name, status: sub === 'status', binding}
}
