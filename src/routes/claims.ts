/** Who has which pod range: one node per prefix, decided the same way on every node. */
import type {NodeFacts} from '../model/facts.ts'
import {Cidr, parseCidr} from '../model/ip.ts'

/** A range, and the node whose pods are in it. */
export interface Claim {
  readonly cidr: Cidr
  readonly node: NodeFacts
}

/**
 * malformed: cannot be parsed. overlap: two claims meet. refused: no pod range can be that. unreachable: no way to the
 * node. device: this node's own tunnel device, or its MTU, cannot be what it should.
 */
export const PROBLEM_KINDS = ['malformed', 'overlap', 'refused', 'unreachable', 'device'] as const

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

/**
 * `subnets`: what the node itself is connected to. Of two nodes that claim one prefix the newer one has it (its
 * predecessor's object has not gone yet), of two of the same age the one whose name sorts first. Prefixes that merely
 * overlap are all served, the longest match wins.
 */
export function settleClaims(
  nodes: Iterable<NodeFacts>,
  subnets: readonly Cidr[],
): {claims: Map<string, Claim>; problems: Problem[]} {
  const reserved = [...RESERVED, ...subnets]
  const claims = new Map<string, Claim>()
  const problems: Problem[] = []
  for (const node of nodes) {
    for (const message of node.problems)
      problems.push({kind: 'malformed', message: `${message}; that part of it is left out`})
    for (const cidr of node.podCIDRs) {
      const refusal = refuse(cidr, reserved)
      const other = claims.get(`${cidr}`)
      if (refusal)
        problems.push({kind: 'refused', message: `node ${node.name}: pod range ${cidr} ${refusal}; it gets no route`})
      else if (!other) claims.set(`${cidr}`, {cidr, node})
      else if (other.node.name !== node.name) {
        const winner = outranks(node, other.node) ? node : other.node
        claims.set(`${cidr}`, {cidr, node: winner})
        const names = [node.name, other.node.name].sort().join(' and ')
        problems.push({
          kind: 'overlap',
          message: `nodes ${names} both claim pod range ${cidr}; ${winner.name} has it, ${node.createdAt === other.node.createdAt ? 'its name being first' : 'being the newer object'}`,
        })
      }
    }
  }
  problems.push(...nested(claims))
  return {claims, problems}
}

const outranks = (a: NodeFacts, b: NodeFacts): boolean =>
  a.createdAt !== b.createdAt ? a.createdAt > b.createdAt : a.name < b.name

function refuse(cidr: Cidr, reserved: readonly Cidr[]): string | undefined {
  if (cidr.length < SHORTEST[cidr.family])
    return `is wider than /${SHORTEST[cidr.family]} and would take traffic that is not for pods`
  const clash = reserved.find(each => each.contains(cidr))
  return clash && `lies inside ${clash}, which is not for pods`
}

/** Claims inside a wider one of another node. One look-up per shorter prefix length that occurs at all. */
function nested(claims: ReadonlyMap<string, Claim>): Problem[] {
  const lengths = {4: new Set<number>(), 6: new Set<number>()}
  for (const {cidr} of claims.values()) lengths[cidr.family].add(cidr.length)
  const problems: Problem[] = []
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
