/** What went wrong with etcd, out of etcd3's many classes. */
import {
  castGrpcError,
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCNotImplementedError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  GRPCUnavailableError,
} from 'etcd3'

export interface Failure {
  /**
   * unsent: nobody got it. lost: somebody may have got it, the answer did not come. denied: not with these
   * credentials. refused: not this. compacted: not of this revision.
   */
  readonly kind: 'unsent' | 'lost' | 'denied' | 'refused' | 'compacted'
  /** etcd's own words, or gRPC's. */
  readonly details: string
  readonly cause: unknown
}

export const failed = (kind: Failure['kind'], details: string, cause: unknown = undefined): Failure => ({
  kind,
  details,
  cause,
})

export const isFailure = (error: unknown): error is Failure => !(error instanceof Error) && 'kind' in Object(error)

/** Beginnings of gRPC's own words for a call that it never sent. Any others only make us more careful than we need be. */
const UNSENT = ['No connection established', 'Name resolution failed', 'Channel closed before call started']

export function failureOf(error: unknown): Failure {
  if (isFailure(error)) return error
  const cause = error instanceof Error ? castGrpcError(error) : error
  const words = String(cause instanceof Error ? cause.message : cause)
  const details = stable(words.replace(/^(\w+: )?(\d+ [A-Z_]+: )?/, ''))
  const kind = (): Failure['kind'] => {
    if (cause instanceof Avoided) return 'unsent'
    if (cause instanceof GRPCUnavailableError)
      return UNSENT.some(words => details.startsWith(words)) ? 'unsent' : 'lost'
    if (DENIALS.some(denial => cause instanceof denial)) return 'denied'
    if (cause instanceof GRPCOutOfRangeError) return 'compacted'
    if (REFUSALS.some(refusal => cause instanceof refusal)) return 'refused'
    return 'lost'
  }
  return failed(kind(), details.slice(0, 300), cause)
}

/** The same for the same trouble: gRPC adds when it tried, and an empty remark. */
const stable = (details: string): string =>
  details.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/, '').replace(/\. Resolution note: $/, '')

const DENIALS = [
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  EtcdInvalidAuthTokenError,
  GRPCUnauthenticatedError,
]
const REFUSALS = [
  EtcdLeaseInvalidError,
  GRPCInvalidArgumentError,
  GRPCFailedPreconditionError,
  GRPCResourceExhastedError,
  GRPCNotImplementedError,
]

/** An endpoint was passed over. */
export class Avoided extends Error {}
