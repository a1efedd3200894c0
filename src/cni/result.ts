/** Results of ADD in the terms of CNI spec 1.1.0, whatever version they came in or go out as. */

export interface CniInterface {
  readonly name: string
  readonly mac?: string
  /** Bytes. Since 1.1.0. */
  readonly mtu?: number
  /** The path of the namespace it is in; absent: the host's. */
  readonly sandbox?: string
}

export interface CniIp {
  /** With its prefix length: "10.1.2.3/24". */
  readonly address: string
  readonly gateway?: string
  /** Index into `interfaces`. */
  readonly interface?: number
}

export interface CniRoute {
  readonly dst: string
  readonly gw?: string
  /** Since 1.1.0. */
  readonly mtu?: number
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

export interface CniDns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

/** Of an IPAM plugin, `interfaces` is empty. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[]
  readonly ips: readonly CniIp[]
  readonly routes: readonly CniRoute[]
  readonly dns: CniDns
}
