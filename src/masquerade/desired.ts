/** What is to be masqueraded, as one value: no more than the facts say. */
import {type Cidr, type Family, type Ip, parseCidr} from '../model/ip.ts'
import {fold, type Range, rangeOf} from './ranges.ts'

/** Of the pod networks that are masqueraded. */
export interface NetworkFacts {
  /** This node's own pod ranges. */
  readonly own: readonly Cidr[]
  /** Where packets keep their source: the cluster's ranges, every node's pod ranges, what else is configured. */
  readonly skip: readonly Cidr[]
}

/** A pod that is masqueraded by itself, towards everything but its own subnet. */
export interface Pod {
  readonly ip: Ip
  readonly subnet: Cidr
}

export interface Ruleset {
  /** Folded. What comes from here… */
  readonly own: readonly Range[]
  /** Folded. …and does not go here is masqueraded. */
  readonly skip: readonly Range[]
  /** By the address's text. */
  readonly pods: ReadonlyMap<string, Pod>
}

/** Multicast has no answer to bring back; link-local and loopback addresses mean nothing beyond the link, the host. */
const NEVER: readonly Range[] = [
  ...['127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32'],
  ...['::1/128', 'fe80::/10', 'ff00::/8'],
].map(text => rangeOf(parseCidr(text)))

/** Of pods with one address the last one counts, as its route does. A pod whose subnet is everything needs nothing. */
export function desired({own, skip}: NetworkFacts, pods: Iterable<Pod>): Ruleset {
  const ours = fold(own.map(rangeOf))
  return {own: ours, skip: fold([...NEVER, ...ours, ...skip.map(rangeOf)]), pods: byAddress(pods)}
}

export function byAddress(pods: Iterable<Pod>): ReadonlyMap<string, Pod> {
  const result = new Map<string, Pod>()
  for (const pod of pods) {
    if (pod.subnet.length > 0) result.set(`${pod.ip}`, pod)
    else result.delete(`${pod.ip}`)
  }
  return result
}

/** Nothing would ever be masqueraded. */
export const isIdle = ({own, pods}: Ruleset): boolean => own.length === 0 && pods.size === 0

export const FAMILIES: readonly Family[] = [4, 6]
