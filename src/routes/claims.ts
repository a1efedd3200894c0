/** Who has which pod range: one node per prefix, decided the same way on every node. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import {Cidr, type Ip, parseCidr} from '../model/ip.ts'
import {Hosts, type Lengths} from './hosts.ts'

/** A range, and the node whose pods are in it. */
export interface Claim {
  readonly cidr: Cidr
  readonly node: NodeFacts
}

/**
 * malformed: cannot be parsed. overlap: two claims meet. refused: no pod range can be that. unreachable: no way to the
 * node. device: this node's own tunnel device, or its MTU, cannot be what it should. fight: repairs are in vain.
 */
export const PROBLEM_KINDS = ['malformed', 'overlap', 'refused', 'unreachable', 'device', 'fight'] as const

/** Something in the cluster's objects that cannot be served as it is written. */
export interface Problem {
  readonly kind: (typeof PROBLEM_KINDS)[number]
  /** One sentence that names the node and the field, and says what to do. */
  readonly message: string
}

/** Ranges that mean something else everywhere: a route to them would break the node. */
const RESERVED: readonly Cidr[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
].map(parseCidr)

/** Bits. A shorter prefix is no node's pod range, and would take traffic that is not for pods. */
const SHORTEST = {4: 8, 6: 16} as const

/** What a node has of the pod ranges, and what is wrong with what it claims. */
export interface Share {
  readonly node: NodeFacts
  readonly cidrs: readonly Cidr[]
  readonly problems: readonly Problem[]
}

/** Of a node that nobody contests. `reserved`: as {@link reservedRanges} says. */
export function shareOf(node: NodeFacts, reserved: readonly Cidr[]): Share {
  const problems = node.problems.map(
    (message): Problem => ({kind: 'malformed', message: `${message}; that part of it is left out`}),
  )
  const cidrs = node.podCIDRs.filter(cidr => {
    const refusal = refuse(cidr, reserved)
    if (refusal)
      problems.push({kind: 'refused', message: `node ${node.name}: pod range ${cidr} ${refusal}; it gets no route`})
    return !refusal
  })
  return {node, cidrs, problems}
}

/** Of this node's ranges those that can be its own: none around its addresses, or it would be cut off. */
export const ownRanges = ({podCIDRs}: NodeFacts, addresses: readonly Ip[]): readonly Cidr[] =>
  podCIDRs.filter(cidr => !refuse(cidr, RESERVED) && !addresses.some(address => cidr.contains(address)))

/** `subnets`: what the node itself is connected to. */
export const reservedRanges = (subnets: readonly Cidr[]): readonly Cidr[] => [...RESERVED, ...subnets]

export interface Settlement {
  readonly shares: ReadonlyMap<NodeName, Share>
  /** Who has a range, by its text. */
  readonly claims: ReadonlyMap<string, Claim>
  /** Where claims meet. */
  readonly problems: readonly Problem[]
  readonly lengths: Lengths
  readonly hosts: Hosts
}

/**
 * Of two nodes that claim one prefix the newer one has it (its predecessor's object has not gone yet), of two of the
 * same age the one whose name sorts first. Prefixes that merely overlap are all served, the longest match wins. Nobody
 * has a range around another node's address: what is meant for that node would go elsewhere. Yields between nodes, so
 * that thousands need not be settled at one go.
 */
export function* settleClaims(
  nodes: Iterable<NodeFacts>,
  reserved: readonly Cidr[],
): Generator<void, Settlement, undefined> {
  const shares = new Map<NodeName, Share>()
  const claims = new Map<string, Claim>()
  const problems: Problem[] = []
  const lengths = {4: new Set<number>(), 6: new Set<number>()}
  const lose = ({name}: NodeFacts, lost: Cidr) => {
    const share = shares.get(name)!
    shares.set(name, {...share, cidrs: share.cidrs.filter(cidr => `${cidr}` !== `${lost}`)})
  }
  for (const node of nodes) {
    yield
    const share = shareOf(node, reserved)
    shares.set(node.name, share)
    for (const cidr of share.cidrs) {
      const other = claims.get(`${cidr}`)
      lengths[cidr.family].add(cidr.length)
      if (!other) claims.set(`${cidr}`, {cidr, node})
      else if (other.node !== node) {
        const [winner, loser] = outranks(node, other.node) ? [node, other.node] : [other.node, node]
        claims.set(`${cidr}`, {cidr, node: winner})
        lose(loser, cidr)
        problems.push(contest(cidr, winner, node, other.node))
      }
    }
  }
  const hosts = new Hosts(lengths)
  for (const {node} of shares.values()) {
    yield
    hosts.add(node)
  }
  for (const [text, {cidr, node}] of claims) {
    yield
    const host = hosts.within(cidr, node.name)
    if (!host) continue
    claims.delete(text)
    lose(node, cidr)
    problems.push({
      kind: 'refused',
      message: `node ${node.name}: pod range ${cidr} contains ${host.ip}, an address of node ${host.name}; it gets no route`,
    })
  }
  for (const problem of nested(claims, lengths)) problems.push(problem)
  return {shares, claims, problems, lengths, hosts}
}

function contest(cidr: Cidr, winner: NodeFacts, a: NodeFacts, b: NodeFacts): Problem {
  const names = [a.name, b.name].sort().join(' and ')
  const why = a.createdAt === b.createdAt ? 'its name being first' : 'being the newer object'
  return {kind: 'overlap', message: `nodes ${names} both claim pod range ${cidr}; ${winner.name} has it, ${why}`}
}

/** Whether the first has what both want. */
export const outranks = (a: NodeFacts, b: NodeFacts): boolean =>
  a.createdAt !== b.createdAt ? a.createdAt > b.createdAt : a.name < b.name

function refuse(cidr: Cidr, reserved: readonly Cidr[]): string | undefined {
  if (cidr.length < SHORTEST[cidr.family])
    return `is wider than /${SHORTEST[cidr.family]} and would take traffic that is not for pods`
  const clash = reserved.find(each => each.contains(cidr))
  return clash && `lies inside ${clash}, which is not for pods`
}

/** Claims inside a wider one of another node. One look-up per shorter prefix length that occurs at all. */
function nested(claims: Settlement['claims'], lengths: Settlement['lengths']): Problem[] {
  const problems: Problem[] = []
  if (lengths[4].size < 2 && lengths[6].size < 2) return problems
  for (const {cidr, node} of claims.values()) {
    for (const length of lengths[cidr.family]) {
      const wider = length < cidr.length ? claims.get(`${new Cidr(cidr.address, length)}`) : undefined
      if (wider && wider.node.name !== node.name)
        problems.push({
          kind: 'overlap',
          message: `node ${node.name}: pod range ${cidr} lies inside ${wider.cidr} of node ${wider.node.name}; the narrower one is served first`,
        })
    }
  }
  return problems
}
