/** Refusals, in the words of the real server (k8s.io/apimachinery/pkg/api/errors), since people and clients know them. */
import {NetgraftError} from '../../model/errors.ts'
import type {Fields} from './objects.ts'

/** meta/v1 Status. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: {readonly continue?: string}
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: Fields
  readonly code?: number
}

/** A request that the server refuses. */
export class ApiError extends NetgraftError {
  readonly code = 'EAPISTATUS'
  readonly status: Status & {readonly code: number}

  constructor(code: number, reason: string, message: string, details?: Fields, metadata: Status['metadata'] = {}) {
    super(message)
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata,
      status: 'Failure',
      message,
      reason,
      ...(details && {details}),
      code,
    }
  }
}

/** What the errors below need to know of a resource. */
interface Named {
  readonly group: string
  readonly plural: string
  readonly kind: string
  /** "nodes", "pairs.netgraft.dev": the plural with the group. */
  readonly id: string
}

const details = (r: Named, name: string, extra: Fields = {}): Fields => ({
  name,
  ...(r.group && {group: r.group}),
  kind: r.plural,
  ...extra,
})

export const badRequest = (message: string) => new ApiError(400, 'BadRequest', message)

export const unauthorized = () => new ApiError(401, 'Unauthorized', 'Unauthorized')

export const forbidden = (r: Named, name: string, why: string) =>
  new ApiError(403, 'Forbidden', `${r.id} "${name}" is forbidden: ${why}`, details(r, name))

export const notFound = (r: Named, name: string) =>
  new ApiError(404, 'NotFound', `${r.id} "${name}" not found`, details(r, name))

export const noSuchPath = () => new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})

export const methodNotAllowed = () =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})

export const alreadyExists = (r: Named, name: string) =>
  new ApiError(409, 'AlreadyExists', `${r.id} "${name}" already exists`, details(r, name))

export const conflict = (r: Named, name: string, why = MODIFIED) =>
  new ApiError(409, 'Conflict', `Operation cannot be fulfilled on ${r.id} "${name}": ${why}`, details(r, name))

const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'

/** `code` 410; reason Expired. A list's answer carries a token to go on inconsistently. */
export const expired = (message: string, token?: string) =>
  new ApiError(410, 'Expired', message, undefined, token === undefined ? {} : {continue: token})

export const tooLarge = (limit: number) =>
  new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`)

export const unsupportedMedia = (accepted: readonly string[]) =>
  new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  )

/** `problem` is the sentence after "is invalid:", beginning with the field's path. */
export const invalid = (kind: string, name: string, problem: string) =>
  new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${problem}`, {name, kind})

export const tooLargeVersion = (asked: number, current: number) =>
  new ApiError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{reason: 'ResourceVersionTooLarge', message: 'Too large resource version'}],
    retryAfterSeconds: 1,
  })

export const internal = (cause: unknown) =>
  new ApiError(500, 'InternalError', `Internal error occurred: ${cause instanceof Error ? cause.message : cause}`, {
    causes: [{message: String(cause)}],
  })

/** Any status, for failures on demand. 429 and 503 tell when to come again, as the real server's overload filters do. */
export function anyFailure(code: number): ApiError {
  const [reason, message] = FAILURES[code] ?? ['', `an error on the server ("${code}") has prevented the request`]
  return new ApiError(code, reason, message, code === 429 || code === 503 ? {retryAfterSeconds: 1} : undefined)
}

const FAILURES: Readonly<Record<number, readonly [string, string]>> = {
  401: ['Unauthorized', 'Unauthorized'],
  403: ['Forbidden', 'forbidden'],
  429: ['TooManyRequests', 'Too many requests, please try again later.'],
  500: ['InternalError', 'Internal error occurred: injected'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
  504: ['Timeout', 'Timeout: request did not complete within the allotted timeout'],
}
