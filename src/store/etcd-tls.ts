/** What gRPC's TLS does otherwise than TLS is meant to be. */
import {isIP} from 'node:net'
import type {ConnectionOptions} from 'node:tls'

/** Of what etcd3 keeps to itself: all its hosts have the same credentials. */
interface Pool {
  readonly authenticator?: {readonly credentials?: Credentials}
}

/** Of what grpc-js keeps to itself. */
interface Credentials {
  _createSecureConnector?: (...args: readonly unknown[]) => Connector
}

interface Connector {
  readonly connectionOptions?: ConnectionOptions
}

/**
 * A server's name (SNI) is never an address (RFC 6066, section 3), and Node warns of one (DEP0123). grpc-js sends it all
 * the same. Without a name the certificate is held against the host, which is that very address.
 */
export function namelessAddresses(pool: object): void {
  const {credentials} = (pool as Pool).authenticator ?? {}
  const make = credentials?._createSecureConnector?.bind(credentials)
  if (!credentials || !make) return
  credentials._createSecureConnector = (...args) => {
    const connector = make(...args)
    const {connectionOptions: options} = connector
    if (options?.host !== undefined && isIP(options.servername ?? '') !== 0) delete options.servername
    return connector
  }
}
