/** Random valid objects, as fast-check arbitraries, in the form in which a decoder returns them. */
import fc from 'fast-check'
import {Cidr, type Family, hostLength, Ip} from '../../src/model/ip.ts'
import type {
  Address,
  FdbEntry,
  IfIndex,
  LinkKind,
  LinkSpec,
  Mac,
  Neighbour,
  NextHop,
  Route,
  Rule,
  Scope,
} from '../../src/model/net.ts'

/** An object without the keys that came out undefined: what an absent optional field is. */
const record = <T extends object>(model: {[K in keyof T]-?: fc.Arbitrary<T[K] | undefined>}): fc.Arbitrary<T> =>
  fc
    .record(model as Record<string, fc.Arbitrary<unknown>>)
    .map(each => Object.fromEntries(Object.entries(each).filter(([, value]) => value !== undefined)) as T)

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, {nil: undefined})
const sometimes = <T>(when: boolean, value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  when ? maybe(value) : fc.constant(undefined)

export const u16 = fc.nat(0xffff)
export const u32 = fc.nat(0xffffffff)
export const family = fc.constantFrom<Family>(4, 6)
export const index = fc.integer({min: 1, max: 0x7fffffff}) as fc.Arbitrary<IfIndex>
export const scope = fc.constantFrom<Scope>('global', 'site', 'link', 'host', 'nowhere')
const name = fc.stringMatching(/^[a-z][a-z0-9.-]{0,14}$/)

export const mac = fc
  .uint8Array({minLength: 6, maxLength: 6})
  .map(bytes => Buffer.from(bytes).toString('hex').match(/../g)!.join(':') as Mac)

export const ip = (of: Family): fc.Arbitrary<Ip> => {
  const length = hostLength(of) / 8
  return fc.uint8Array({minLength: length, maxLength: length}).map(bytes => new Ip(Uint8Array.from(bytes)))
}

export const cidr = (of: Family): fc.Arbitrary<Cidr> =>
  fc.tuple(ip(of), fc.nat(hostLength(of))).map(([address, length]) => new Cidr(address, length))

/** One way out: it has a gateway or a device, and no weight. */
const onlyHop = (of: Family): fc.Arbitrary<NextHop> =>
  record<NextHop>({
    gateway: maybe(gatewayFor(of)),
    dev: maybe(index),
    onlink: maybe(fc.constant(true)),
    weight: fc.constant(undefined),
  }).filter(hop => hop.gateway !== undefined || hop.dev !== undefined)

const oneOfSeveral = (of: Family): fc.Arbitrary<NextHop> =>
  record<NextHop>({
    gateway: maybe(gatewayFor(of)),
    dev: maybe(index),
    onlink: maybe(fc.constant(true)),
    weight: fc.integer({min: 1, max: 256}),
  })

/** IPv4 routes may lead through IPv6 gateways (RFC 5549), not the other way round. */
const gatewayFor = (of: Family): fc.Arbitrary<Ip> => (of === 4 ? fc.oneof(ip(4), ip(6)) : ip(6))

export const route: fc.Arbitrary<Route> = family.chain(of =>
  fc
    .constantFrom(
      'unicast',
      'local',
      'broadcast',
      'anycast',
      'multicast',
      'blackhole',
      'unreachable',
      'prohibit',
      'throw',
    )
    .chain(type =>
      record<Route>({
        destination: cidr(of),
        type: fc.constant(type as Route['type']),
        table: fc.oneof(fc.integer({min: 1, max: 255}), u32),
        protocol: fc.nat(255),
        metric: u32,
        scope,
        nextHops: ['blackhole', 'unreachable', 'prohibit', 'throw'].includes(type)
          ? fc.constant([])
          : fc.oneof(
              fc.tuple(onlyHop(of)),
              fc.array(oneOfSeveral(of), {minLength: 2, maxLength: 40}) as fc.Arbitrary<NextHop[]>,
            ),
        tos: of === 4 ? maybe(fc.integer({min: 1, max: 255})) : fc.constant(undefined),
        source: maybe(ip(of)),
        mtu: maybe(u32),
        dead: fc.constant(undefined),
      }),
    ),
)

export const address: fc.Arbitrary<Address> = family.chain(of =>
  record<Address>({
    index,
    ip: ip(of),
    length: fc.nat(hostLength(of)),
    peer: maybe(ip(of)),
    scope,
    flags: fc.oneof(fc.nat(255), u32),
    protocol: maybe(fc.nat(255)),
  }).filter(each => each.peer?.toString() !== each.ip.toString()),
)

export const neighbour: fc.Arbitrary<Neighbour> = family.chain(of =>
  record<Neighbour>({index, ip: ip(of), mac, state: u16}),
)

export const fdbEntry: fc.Arbitrary<FdbEntry> = family.chain(of =>
  record<FdbEntry>({
    index,
    mac,
    remote: maybe(ip(of)),
    vlan: maybe(fc.nat(4095)),
    vni: maybe(fc.nat(0xffffff)),
    port: maybe(u16),
    via: maybe(index),
    state: u16,
    flags: fc.nat(255),
  }),
)

export const rule: fc.Arbitrary<Rule> = family.chain(of =>
  record<Rule>({
    family: fc.constant(of),
    priority: u32,
    table: u32,
    protocol: fc.nat(255),
    from: maybe(cidr(of)),
    to: maybe(cidr(of)),
    iif: maybe(name),
    oif: maybe(name),
    fwmark: maybe(u32),
    fwmask: maybe(u32),
  }),
)

const vxlan = family.chain(of =>
  record<LinkKind & {type: 'vxlan'}>({
    type: fc.constant('vxlan' as const),
    vni: fc.nat(0xffffff),
    port: u16,
    local: maybe(ip(of)),
    remote: maybe(ip(of)),
    dev: maybe(index),
    learning: fc.boolean(),
  }),
)

const peer = record<(LinkKind & {type: 'veth'})['peer']>({
  name,
  netns: maybe(fc.nat(1000)),
  mtu: maybe(u32),
  mac: maybe(mac),
  group: maybe(u32),
})

const kind: fc.Arbitrary<LinkKind> = fc.oneof(
  vxlan,
  peer.map((each): LinkKind => ({type: 'veth', peer: each})),
  maybe(fc.boolean()).map(
    (on): LinkKind => (on === undefined ? {type: 'bridge'} : {type: 'bridge', vlanFiltering: on}),
  ),
  fc
    .tuple(index, fc.constantFrom('private', 'vepa', 'bridge', 'passthru', 'source'))
    .map(([parent, mode]): LinkKind => ({type: 'macvlan', parent, mode}) as LinkKind),
)

export const linkSpec: fc.Arbitrary<LinkSpec> = kind.chain(of =>
  record<LinkSpec>({
    name,
    group: maybe(u32),
    mtu: maybe(u32),
    mac: maybe(mac),
    up: maybe(fc.boolean()),
    master: sometimes(of.type !== 'macvlan', index),
    netns: maybe(fc.nat(1000)),
    kind: fc.constant(of),
  }),
)
