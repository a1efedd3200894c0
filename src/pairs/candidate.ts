/** Two ends that are to be a pair, and whether what is said of them can be. Pure. */
import {IPV6_LEAST} from '../model/mtu.ts'
import type {Declaration, Endpoint, Pair, PairEnd, PodKey} from '../model/pair.ts'
import {inOrder, pairKey} from './key.ts'
import type {Match} from './match.ts'

export interface Side {
  readonly pod: PodKey
  readonly interface: string
  /** What the pod itself says. */
  readonly declaration: Declaration | undefined
}

/** Of two pods, the one first whose key sorts first. One of them says something at least. */
export type Candidate = readonly [Side, Side]

type Endpoints = ReadonlyMap<PodKey, Endpoint>

/** Who says nothing of its interface has that of the other's choice, else one of the same name. */
export const candidateOf = (pods: readonly [PodKey, PodKey], [one, other]: Match): Candidate => [
  {pod: pods[0], interface: one?.interface ?? other!.peerInterface ?? other!.interface, declaration: one},
  {pod: pods[1], interface: other?.interface ?? one!.peerInterface ?? one!.interface, declaration: other},
]

/** "netgraft.dev/pairs[0] of a/b, and …". */
export const saidBy = (sides: readonly Side[]): string =>
  sides.flatMap(({pod, declaration}) => (declaration ? `${declaration.at} of ${pod}` : [])).join(' and ')

/** A sentence. Undefined: it can be. */
export function contradictionIn(candidate: Candidate, endpoints: Endpoints): string | undefined {
  const [{declaration: one}, {declaration: other}] = candidate
  const who = saidBy(candidate)
  if (one && other) return differenceOf(one, other, who) ?? coincidenceIn(candidate, who)
  return anotherPrimary(candidate, endpoints) ?? coincidenceIn(candidate, who)
}

/** Of what both ends say. */
function differenceOf(one: Declaration, other: Declaration, who: string): string | undefined {
  if (one.by === 'labels' && other.by === 'labels')
    return `${who} are of pods that both have the label ratchet.primary: "true"; leave it at one of them`
  for (const [mine, theirs] of [
    [one.interface, other.peerInterface],
    [other.interface, one.peerInterface],
  ])
    if (theirs !== undefined && mine !== theirs)
      return `${who} mean the same interface by ${mine} and ${theirs}; write one name at both ends, or give the two a name each if they are two pairs`
  if (one.mtu !== undefined && other.mtu !== undefined && one.mtu !== other.mtu)
    return `${who} differ in their mtu, ${one.mtu} and ${other.mtu}; write the same one at both ends, or at one of them only`
  for (const [mine, theirs] of [
    [one.ips, other.peerIps],
    [other.ips, one.peerIps],
  ])
    if (mine && theirs && mine.toSorted().join() !== theirs.toSorted().join())
      return `${who} mean the same interface to have ${listed(mine)} and ${listed(theirs)}; write one of the two`
  return undefined
}

/** A label says that the other one is no primary. */
function anotherPrimary(candidate: Candidate, endpoints: Endpoints): string | undefined {
  const {pod, declaration} = candidate[0].declaration ? candidate[1] : candidate[0]
  const said = candidate.find(side => side.declaration)!
  if (declaration || said.declaration!.by !== 'labels') return undefined
  const rival = endpoints.get(pod)?.declarations.find(each => each.by === 'labels')
  return (
    rival &&
    `${saidBy([said])} names ${pod}, which has the label ratchet.primary: "true", too, and names ${rival.peer}; leave it at one of them`
  )
}

/** What both ends must not have alike. */
function coincidenceIn(candidate: Candidate, who: string): string | undefined {
  const [ips, peerIps] = [ipsOf(candidate, 0), ipsOf(candidate, 1)]
  const [macs, mtu] = [candidate.map(side => side.declaration?.mac), mtuOf(candidate)]
  const addresses = new Set(ips.map(ipIn))
  const twice = peerIps.map(ipIn).find(ip => addresses.has(ip))
  if (twice !== undefined) return `${who} give both ends the address ${twice}; give each end its own`
  if (macs[0] !== undefined && macs[0] === macs[1])
    return `${who} give both ends the mac ${macs[0]}; give each end its own, or none`
  const ipv6 = [...ips, ...peerIps].find(ip => ip.includes(':'))
  if (mtu !== undefined && mtu < IPV6_LEAST && ipv6 !== undefined)
    return `${who} mean an mtu of ${mtu} and the address ${ipv6}, and IPv6 needs ${IPV6_LEAST}; write that or more, or leave IPv6 away`
  return undefined
}

/** Of one that does not contradict itself. */
export function pairOf(candidate: Candidate, endpoints: Endpoints): Pair {
  const [one, other] = candidate
  const name = one.declaration?.name ?? other.declaration?.name
  const mtu = mtuOf(candidate)
  return {
    key: pairKey(one, other),
    ...(name !== undefined && {name}),
    ends: inOrder(endOf(candidate, 0, endpoints), endOf(candidate, 1, endpoints)),
    ...(mtu !== undefined && {mtu}),
  }
}

function endOf(candidate: Candidate, i: 0 | 1, endpoints: Endpoints): PairEnd {
  const {pod, interface: ifname, declaration} = candidate[i]
  const endpoint = endpoints.get(pod)
  return {
    pod,
    interface: ifname,
    ips: ipsOf(candidate, i),
    routes: declaration?.routes ?? [],
    ...(declaration?.mac !== undefined && {mac: declaration.mac}),
    ...(declaration && {at: declaration.at}),
    ...(endpoint && {endpoint}),
  }
}

const mtuOf = ([one, other]: Candidate): number | undefined => one.declaration?.mtu ?? other.declaration?.mtu

const ipsOf = (candidate: Candidate, i: 0 | 1): readonly string[] =>
  candidate[i].declaration?.ips ?? candidate[1 - i]!.declaration?.peerIps ?? []

const ipIn = (text: string): string => text.split('/')[0]!

const listed = (ips: readonly string[]): string => ips.join(', ')
