/** What can go wrong between us and an API server, each as one sentence that names the server and says what to do. */
import {ApiError} from '../streams/list-watch.ts'

/** An error of the connection, from DNS to TLS to a cut in the middle. */
export function connectionFailure(server: URL, error: unknown): ApiError {
  const {code = '', message} = error as NodeJS.ErrnoException
  const why = CONNECTION[code] ?? (/CERT|SIGNED|SIGNATURE|TLS|SSL/.test(code) ? CERTIFICATE : 'cannot be reached')
  return new ApiError('EUNREACHABLE', `the API server at ${server.origin} ${why} (${code || message})`, {cause: error})
}

const NETWORK = 'cannot be reached: is there a route to it, and does no firewall stop us?'
const CERTIFICATE =
  'shows a certificate that we do not accept: is the certificate authority in our credentials its own?'
const CONNECTION: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection: is it running, and is this its address?',
  ECONNRESET: 'broke the connection',
  EPIPE: 'broke the connection',
  EAI_AGAIN: 'cannot be found, because no name server answers: check /etc/resolv.conf',
  ENOTFOUND: 'cannot be found: is its name right?',
  EHOSTUNREACH: NETWORK,
  ENETUNREACH: NETWORK,
  ETIMEDOUT: NETWORK,
  CERT_HAS_EXPIRED: 'shows a certificate that has expired: renew it, and check the clocks',
  CERT_NOT_YET_VALID: 'shows a certificate that is not yet valid: check the clocks',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'shows a certificate for another name: use a name that is in it, or set tls-server-name',
  EPROTO: 'does not speak the TLS that we speak: should its address begin with http: perhaps?',
}

export function timeout(server: URL, what: string, ms: number): ApiError {
  const message = `the API server at ${server.origin} gave no answer to ${what} for ${ms / 1000} s: is it overloaded, or the network cut?`
  return new ApiError('ETIMEDOUT', message)
}

/** An answer that breaks the API's rules. */
export function protocolFailure(server: URL, what: string, cause?: unknown): ApiError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new ApiError('EPROTOCOL', `the API server at ${server.origin} ${what}${why}`, {cause})
}

/** A metav1.Status, as the body of a refusal or in an ERROR event. Anything may be missing: proxies answer too. */
interface Status {
  readonly code?: unknown
  readonly reason?: unknown
  readonly message?: unknown
  readonly details?: {readonly retryAfterSeconds?: unknown} | null
}

/** `what` was asked, `httpStatus` and `retryAfter` (the header, seconds) come with a response, not with an event. */
export function refusal(
  server: URL,
  what: string,
  status: Status,
  {httpStatus, retryAfter}: {httpStatus?: number | undefined; retryAfter?: string | undefined} = {},
): ApiError {
  const code = httpStatus ?? (typeof status.code === 'number' ? status.code : 500)
  const seconds = Number(retryAfter ?? status.details?.retryAfterSeconds)
  const told = typeof status.message === 'string' ? status.message : 'without a reason'
  return new ApiError('ESTATUS', `the API server at ${server.origin} ${verdict(code, what)}: ${told}`, {
    status: code,
    reason: typeof status.reason === 'string' ? status.reason : undefined,
    retryAfterMs: seconds > 0 ? seconds * 1000 : undefined,
  })
}

function verdict(code: number, what: string): string {
  if (code === 401)
    return `does not accept our credentials (401, is the token or certificate expired, or of another cluster?)`
  if (code === 403) return `does not allow us ${what} (403, grant it to our service account)`
  if (code === 429) return `has too much to do for ${what} (429)`
  return `answered ${what} with ${code}`
}
