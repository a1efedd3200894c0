/** The nodes' own addresses, by the ranges that they would lie in. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Cidr, Family, Ip} from '../model/ip.ts'

/** The prefix lengths that occur, by family. */
export type Lengths = Readonly<Record<Family, ReadonlySet<number>>>

/** Of an address: the range of that length around it. Cheaper than its text. */
export function rangeKey({raw}: Ip, length: number): string {
  const whole = length >> 3
  const rest = length & 7
  const partial = rest === 0 ? '' : String.fromCharCode(raw.charCodeAt(whole) & (0xff << (8 - rest)))
  return String.fromCharCode(raw.length, length) + raw.slice(0, whole) + partial
}

/** Those that its object reports, and the ends of its tunnels. */
export const hostsOf = ({addresses, vteps}: NodeFacts): readonly Ip[] => [
  ...addresses,
  ...vteps.flatMap(({ends}) => ends.map(({ip}) => ip)),
]

export class Hosts {
  readonly #lengths: Lengths
  readonly #inside = new Map<string, Map<NodeName, Ip>>()

  constructor(lengths: Lengths) {
    this.#lengths = lengths
  }

  add(node: NodeFacts): void {
    for (const [key, ip] of this.#keysOf(node)) {
      const nodes = this.#inside.get(key)
      if (nodes) nodes.set(node.name, ip)
      else this.#inside.set(key, new Map([[node.name, ip]]))
    }
  }

  remove(node: NodeFacts): void {
    for (const [key] of this.#keysOf(node)) {
      const nodes = this.#inside.get(key)
      if (nodes?.delete(node.name) && nodes.size === 0) this.#inside.delete(key)
    }
  }

  /** A node, but for the one itself, whose address is in the range. */
  within({address, length}: Cidr, of: NodeName): {readonly name: NodeName; readonly ip: Ip} | undefined {
    for (const [name, ip] of this.#inside.get(rangeKey(address, length)) ?? []) if (name !== of) return {name, ip}
    return undefined
  }

  *#keysOf(node: NodeFacts): Generator<[string, Ip], void, undefined> {
    for (const ip of hostsOf(node)) for (const length of this.#lengths[ip.family]) yield [rangeKey(ip, length), ip]
  }
}
