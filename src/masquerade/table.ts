/**
 * Our table in nft's JSON (libnftables-json(5)): what never changes of it, and the commands that bring the rest.
 *
 *   table inet netgraft {
 *     set own4 …; set skip4 …; map pods4 {10.0.0.5 : jump beyond-10.0.0.0/24}     (and own6, skip6, pods6)
 *     chain postrouting {
 *       type nat hook postrouting priority srcnat
 *       ip saddr @own4 ip daddr != @skip4 masquerade fully-random
 *       ip saddr vmap @pods4
 *     }
 *     chain beyond-10.0.0.0/24 {ip daddr != 10.0.0.0/24 ip daddr != 224.0.0.0/4 masquerade}
 *   }
 */
import {isIP} from 'node:net'
import {type Cidr, type Family, hostLength, parseCidr, parseIp} from '../model/ip.ts'
import type {NftCommand} from '../model/nft.ts'
import {FAMILIES, type Pod, type Ruleset} from './desired.ts'
import {type Range, toIp} from './ranges.ts'

export const TABLE = 'netgraft'
const AT = {family: 'inet', table: TABLE} as const

/** NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h. */
const SRCNAT = 100
const CHAIN = 'postrouting'
const PROTOCOL = {4: 'ip', 6: 'ip6'} as const
const TYPE = {4: 'ipv4_addr', 6: 'ipv6_addr'} as const
const MULTICAST = {4: parseCidr('224.0.0.0/4'), 6: parseCidr('ff00::/8')} as const

/** One of the objects of a listing: {"set": {…}}. */
export interface NftObject {
  readonly [kind: string]: {readonly [key: string]: unknown}
}

const field = (family: Family, name: 'saddr' | 'daddr') => ({payload: {protocol: PROTOCOL[family], field: name}})

const beyond = (family: Family, right: unknown) => ({match: {op: '!=', left: field(family, 'daddr'), right}})

/** The frame: without the elements of its sets, and without the chains of subnets. */
export const FRAME: readonly NftObject[] = [
  ...FAMILIES.flatMap(family => [
    {set: {...AT, name: `own${family}`, type: TYPE[family], flags: ['interval']}},
    {set: {...AT, name: `skip${family}`, type: TYPE[family], flags: ['interval']}},
    {map: {...AT, name: `pods${family}`, type: TYPE[family], map: 'verdict'}},
  ]),
  {chain: {...AT, name: CHAIN, type: 'nat', hook: CHAIN, prio: SRCNAT, policy: 'accept'}},
  ...FAMILIES.map(family => ({
    rule: {
      ...AT,
      chain: CHAIN,
      comment: 'netgraft: pods of this node, towards the outside',
      expr: [
        {match: {op: '==', left: field(family, 'saddr'), right: `@own${family}`}},
        beyond(family, `@skip${family}`),
        // Else two connections that begin at once may be given the same port, and one of them dies.
        {masquerade: {flags: 'fully-random'}},
      ],
    },
  })),
  ...FAMILIES.map(family => ({
    rule: {
      ...AT,
      chain: CHAIN,
      comment: 'netgraft: single pods, beyond their subnet',
      expr: [{vmap: {key: field(family, 'saddr'), data: `@pods${family}`}}],
    },
  })),
]

/** What a colon is written as: nft's own syntax has none in names. */
const COLON = '_'
const BEYOND = 'beyond-'

export const chainOf = (subnet: Cidr): string => `${BEYOND}${`${subnet}`.replaceAll(':', COLON)}`

/** Undefined: a chain that is none of these. */
export function subnetOf(chain: string): Cidr | undefined {
  if (!chain.startsWith(BEYOND)) return undefined
  try {
    const subnet = parseCidr(chain.slice(BEYOND.length).replaceAll(COLON, ':'))
    return chainOf(subnet) === chain ? subnet : undefined
  } catch {
    return undefined
  }
}

/** As plugins of the `bridge` and `ptp` kind masquerade: `! -d subnet`, `! -d multicast`. */
export const ruleBeyond = (subnet: Cidr) => ({
  rule: {
    ...AT,
    chain: chainOf(subnet),
    expr: [
      beyond(subnet.family, rightOf(subnet)),
      beyond(subnet.family, rightOf(MULTICAST[subnet.family])),
      {masquerade: null},
    ],
  },
})

const rightOf = ({address, length, family}: Cidr): unknown =>
  length === hostLength(family) ? `${address}` : {prefix: {addr: `${address}`, len: length}}

/** The table anew, whatever stood there. */
export function rewrite(ruleset: Ruleset): NftCommand[] {
  return [
    // To delete what is not there is an error, to add what is there is none.
    {add: {table: {family: 'inet', name: TABLE}}},
    ...remove(),
    {add: {table: {family: 'inet', name: TABLE}}},
    ...FRAME.map(object => ({add: object})),
    ...[...subnets(ruleset.pods.values())].flatMap(addChain),
    ...element('add', 'own', ruleset.own),
    ...element('add', 'skip', ruleset.skip),
    ...addPods([...ruleset.pods.values()]),
  ]
}

export const remove = (): NftCommand[] => [{delete: {table: {family: 'inet', name: TABLE}}}]

/** Also right where it stands already. */
export const addChain = (subnet: Cidr): NftCommand[] => [
  {add: {chain: {...AT, name: chainOf(subnet)}}},
  {flush: {chain: {...AT, name: chainOf(subnet)}}},
  {add: ruleBeyond(subnet)},
]

export const deleteChain = (subnet: Cidr): NftCommand => ({delete: {chain: {...AT, name: chainOf(subnet)}}})

/** Also right where they stand already with the same subnet. */
export const addPods = (pods: readonly Pod[]): NftCommand[] =>
  inFamilies(pods, ({ip}) => ip.family).map(([family, some]) => ({
    add: {
      element: {
        ...AT,
        name: `pods${family}`,
        elem: some.map(({ip, subnet}) => [`${ip}`, {jump: {target: chainOf(subnet)}}]),
      },
    },
  }))

export const deletePods = (pods: readonly Pod[]): NftCommand[] =>
  inFamilies(pods, ({ip}) => ip.family).map(([family, some]) => ({
    delete: {element: {...AT, name: `pods${family}`, elem: some.map(({ip}) => `${ip}`)}},
  }))

export const element = (verb: 'add' | 'delete', set: 'own' | 'skip', ranges: readonly Range[]): NftCommand[] =>
  inFamilies(ranges, range => range.family).map(([family, some]) => ({
    [verb]: {
      element: {
        ...AT,
        name: `${set}${family}`,
        elem: some.map(({first, last}) => ({range: [`${toIp(family, first)}`, `${toIp(family, last)}`]})),
      },
    },
  }))

/** Each once. */
export const subnets = (pods: Iterable<Pod>): Iterable<Cidr> =>
  new Map([...pods].map(({subnet}) => [`${subnet}`, subnet])).values()

const inFamilies = <T>(items: readonly T[], of: (item: T) => Family): [Family, T[]][] =>
  FAMILIES.map((family): [Family, T[]] => [family, items.filter(item => of(item) === family)]).filter(
    ([, some]) => some.length > 0,
  )

/** What an object says, whichever way it is written: null, {} and [] say nothing, a list of one what that one says. */
export function words(value: unknown): string {
  if (Array.isArray(value)) return value.map(words).join(' ')
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => `${key} ${words(inner)}`)
      .join(' ')
  if (typeof value === 'string' && isIP(value) && !value.includes('%')) return `${parseIp(value)}`
  return `${value ?? ''}`
}
