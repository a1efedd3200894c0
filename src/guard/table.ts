/**
 * Keeps pods out of the tunnels between nodes, in nft's JSON (libnftables-json(5)). A vxlan device takes every packet to its
 * UDP port, on any address of the node and from whomever: what pods send there would come out of the tunnel under any
 * sender's name.
 *
 *   table inet netgraft-guard {
 *     set tunnels {8472, 8473}      set pods4 {every node's pod ranges}      set nodes4 {nodes' addresses}
 *     set inside4 {what is not masqueraded}                                  (and pods6, nodes6, inside6)
 *     chain input {
 *       type filter hook input priority filter
 *       udp dport @tunnels iifgroup 28263 drop
 *       udp dport @tunnels ip saddr != @nodes4 ip saddr @pods4 drop
 *     }
 *     chain forward {
 *       type filter hook forward priority filter
 *       udp dport @tunnels iifgroup 28263 ip daddr @nodes4 drop
 *       udp dport @tunnels iifgroup 28263 ip saddr @pods4 ip daddr != @inside4 drop
 *     }
 *   }
 *
 * The last rule is for what would leave masqueraded, under the name of this node: other nodes take that for its tunnel's.
 */
import {readRange, textOfFrame} from '../masquerade/listing.ts'
import {fold, type Range, rangeOf, textOf, toIp} from '../masquerade/ranges.ts'
import {Cidr, type Family, hostLength, type Ip} from '../model/ip.ts'
import type {NftCommand} from '../model/nft.ts'
import {OWN_GROUP} from '../model/plans.ts'

export const GUARD_TABLE = 'netgraft-guard'
const AT = {family: 'inet', table: GUARD_TABLE} as const
const TABLE = {table: {family: 'inet', name: GUARD_TABLE}} as const

export interface GuardFacts {
  /** UDP, of all tunnels. Empty: there is nothing to guard. */
  readonly ports: readonly number[]
  /** Of every node. */
  readonly pods: readonly Cidr[]
  /** Addresses that tunnels of nodes may come from. */
  readonly nodes: readonly Ip[]
  /** Where packets of pods keep their source. Undefined: everywhere. */
  readonly inside: readonly Cidr[] | undefined
}

interface Sets {
  readonly tunnels: readonly number[]
  readonly pods: readonly Range[]
  readonly nodes: readonly Range[]
  readonly inside: readonly Range[]
}

const FAMILIES: readonly Family[] = [4, 6]
const RANGES = ['pods', 'nodes', 'inside'] as const
const PROTOCOL = {4: 'ip', 6: 'ip6'} as const
const TYPE = {4: 'ipv4_addr', 6: 'ipv6_addr'} as const

const match = (left: object, right: unknown, op = '==') => ({match: {op, left, right}})
const address = (family: Family, field: 'saddr' | 'daddr') => ({payload: {protocol: PROTOCOL[family], field}})
const TO_TUNNEL = match({payload: {protocol: 'udp', field: 'dport'}}, '@tunnels')
const FROM_OURS = match({meta: {key: 'iifgroup'}}, OWN_GROUP)
const DROP = {drop: null}
const rule = (chain: 'input' | 'forward', ...expr: readonly object[]) => ({
  rule: {...AT, chain, expr: [TO_TUNNEL, ...expr, DROP]},
})

const frame = (masquerades: boolean): readonly NftCommand[string][] => [
  {set: {...AT, name: 'tunnels', type: 'inet_service'}},
  ...FAMILIES.flatMap(family =>
    RANGES.map(name => ({set: {...AT, name: `${name}${family}`, type: TYPE[family], flags: ['interval']}})),
  ),
  ...(['input', 'forward'] as const).map(hook => ({
    chain: {...AT, name: hook, type: 'filter', hook, prio: 0, policy: 'accept'},
  })),
  // Out of a pod's interface, and out of a tunnel.
  rule('input', FROM_OURS),
  // Of pods of other nodes, and of those that have their interface from somebody else.
  ...FAMILIES.map(family =>
    rule(
      'input',
      match(address(family, 'saddr'), `@nodes${family}`, '!='),
      match(address(family, 'saddr'), `@pods${family}`),
    ),
  ),
  ...FAMILIES.map(family => rule('forward', FROM_OURS, match(address(family, 'daddr'), `@nodes${family}`))),
  ...(masquerades ? FAMILIES : []).map(family =>
    rule(
      'forward',
      FROM_OURS,
      match(address(family, 'saddr'), `@pods${family}`),
      match(address(family, 'daddr'), `@inside${family}`, '!='),
    ),
  ),
]

const setsOf = ({ports, pods, nodes, inside = []}: GuardFacts): Sets => ({
  tunnels: [...new Set(ports)].sort((a, b) => a - b),
  pods: fold(pods.map(rangeOf)),
  nodes: fold(nodes.map(ip => rangeOf(new Cidr(ip, hostLength(ip.family))))),
  inside: fold([...pods, ...inside].map(rangeOf)),
})

export const remove = (): NftCommand[] => [{delete: TABLE}]

/** The table anew, whatever stood there. */
export function rewrite(facts: GuardFacts): NftCommand[] {
  const sets = setsOf(facts)
  return [
    // To delete what is not there is an error, to add what is there is none.
    {add: TABLE},
    ...remove(),
    {add: TABLE},
    ...frame(facts.inside !== undefined).map(object => ({add: object})),
    {add: {element: {...AT, name: 'tunnels', elem: sets.tunnels}}},
    ...RANGES.flatMap(name =>
      FAMILIES.flatMap(family => {
        const elem = sets[name]
          .filter(range => range.family === family)
          .map(({first, last}) => ({range: [`${toIp(family, first)}`, `${toIp(family, last)}`]}))
        return elem.length === 0 ? [] : [{add: {element: {...AT, name: `${name}${family}`, elem}}}]
      }),
    ),
  ]
}

/** How the table reads that {@link rewrite} makes. */
export function wanted(facts: GuardFacts): string {
  const {tunnels, ...ranges} = setsOf(facts)
  return whole(
    [{table: {}}, ...frame(facts.inside !== undefined)],
    [
      `tunnels ${tunnels.join(' ')}`,
      ...RANGES.flatMap(name => FAMILIES.map(family => elements(`${name}${family}`, family, ranges[name]))),
    ],
  )
}

/** `objects`: what `nft -j list table` says. Of the same content the same text. Never throws. */
export function standing(objects: readonly unknown[]): string {
  const sets = new Map(
    objects.flatMap(object => {
      const {set} = Object(object) as {set?: {name?: unknown; elem?: unknown}}
      return set ? [[`${set.name}`, [set.elem ?? []].flat()] as const] : []
    }),
  )
  return whole(objects, [
    `tunnels ${(sets.get('tunnels') ?? [])
      .map(Number)
      .sort((a, b) => a - b)
      .join(' ')}`,
    ...RANGES.flatMap(name =>
      FAMILIES.map(family => {
        const read = (sets.get(`${name}${family}`) ?? []).map(each => rangeIn(each, family))
        const known = read.filter(range => range !== undefined)
        return known.length < read.length ? `${name}${family} unknown` : elements(`${name}${family}`, family, known)
      }),
    ),
  ])
}

function rangeIn(element: unknown, family: Family): Range | undefined {
  try {
    return readRange(element, family)
  } catch {
    return undefined
  }
}

const whole = (objects: readonly unknown[], sets: readonly string[]): string =>
  [textOfFrame(objects), ...sets].join('\n')

const elements = (name: string, family: Family, ranges: readonly Range[]): string =>
  `${name} ${fold(ranges.filter(range => range.family === family))
    .map(textOf)
    .join(' ')}`
