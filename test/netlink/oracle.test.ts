/**
 * npm `netlink` 0.3.0, written by somebody else from the same headers: its formatters write what our decoders read, and
 * its parsers read what our encoders write. Its structs are plain JavaScript; only its sockets need its native part,
 * which is never loaded here. It cannot say RTA_VIA (its struct has one byte for the address), nexthop flags beyond
 * those of rtm_flags by name, nor what is inside RTA_MULTIPATH and IFLA_LINKINFO: those are taken apart one layer down.
 */
import {createRequire} from 'node:module'
import test from 'ava'
import fc from 'fast-check'
import type {Ip} from '../../src/model/ip.ts'
import type {Address, FdbEntry, LinkSpec, Neighbour, NextHop, Route, Rule} from '../../src/model/net.ts'
import {addAddress, decodeAddress} from '../../src/netlink/address.ts'
import {AF, AF_BRIDGE, scopeNumber} from '../../src/netlink/families.ts'
import {addLink, decodeLink} from '../../src/netlink/link.ts'
import {Writer} from '../../src/netlink/message.ts'
import {addFdb, addNeighbour, decodeFdb, decodeNeighbour} from '../../src/netlink/neighbour.ts'
import type {Request} from '../../src/netlink/request.ts'
import {addRoute, decodeRoute} from '../../src/netlink/route.ts'
import {addRule, decodeRule} from '../../src/netlink/rule.ts'
import * as arbitrary from './arbitrary.ts'

const require = createRequire(import.meta.url)
const rt = require('netlink/dist/rt/structs.js') as typeof import('netlink/dist/rt/structs.js')
const ifla = require('netlink/dist/rt/ifla.js') as typeof import('netlink/dist/rt/ifla.js')
const {AttrStream, parseAttributes} = require('netlink/dist/structs.js') as typeof import('netlink/dist/structs.js')

/** Our message's body. */
function ours(request: Request): Buffer {
  const writer = new Writer()
  request.encode(writer)
  return Buffer.from(writer.finish())
}

/** Their message's body. */
function theirs(format: (message: never, out: InstanceType<typeof AttrStream>) => void, message: object): Buffer {
  const out = new AttrStream()
  format(message as never, out)
  return Buffer.concat(out.bufs)
}

const buffer = (ip: Ip | undefined): Buffer | undefined => ip && Buffer.from(ip.bytes)
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex')
const beU16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])

/** Bytes as hex, without what is absent: what can be compared. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]) => [key, plain(each)]),
  )
}

// ---- routes

/** What their parser knows: several hops are raw bytes to it, and it has no RTA_VIA worth the name. */
const sayable = (route: Route): boolean =>
  route.nextHops.every(({gateway}) => !gateway || gateway.family === route.destination.family)

function routeTheirs(route: Route) {
  const [hop] = route.nextHops
  const single = route.nextHops.length === 1 ? hop : undefined
  return {
    kind: 'route' as const,
    data: {
      family: AF[route.destination.family],
      dstLen: route.destination.length,
      srcLen: 0,
      tos: route.tos ?? 0,
      table: route.table > 255 ? 252 : route.table,
      protocol: route.protocol,
      scope: scopeNumber(route.scope),
      type: (rt.RouteType as unknown as Record<string, number>)[route.type.toUpperCase()]!,
      flags: {__unknown: single?.onlink ? 4 : 0},
    },
    attrs: {
      table: route.table,
      dst: route.destination.length > 0 ? buffer(route.destination.address) : undefined,
      priority: route.metric,
      prefsrc: buffer(route.source),
      metrics: route.mtu === undefined ? undefined : {mtu: u32(route.mtu)},
      gateway: buffer(single?.gateway),
      oif: single?.dev,
      multipath: route.nextHops.length > 1 ? Buffer.concat(route.nextHops.map(hopTheirs)) : undefined,
    },
  }
}

function hopTheirs(hop: NextHop): Buffer {
  const gateway = buffer(hop.gateway)
  const attributes = gateway ? theirs((attrs, out) => out.emit(rt.formatRouteAttrs(attrs)), {gateway}) : Buffer.alloc(0)
  const head = {
    len: 8 + attributes.length,
    flags: {onlink: hop.onlink},
    hops: hop.weight! - 1,
    ifindex: hop.dev ?? 0,
  }
  return Buffer.concat([rt.formatRouteNextHop(head as Parameters<typeof rt.formatRouteNextHop>[0]), attributes])
}

/** Enumerations come back as names, flags as objects: numbers again. */
function routeNumbers({data, attrs}: ReturnType<typeof rt.parseRouteMessage>) {
  return {
    ...data,
    scope: typeof data.scope === 'string' ? rt.RouteScope[data.scope] : data.scope,
    type: typeof data.type === 'string' ? rt.RouteType[data.type] : data.type,
    protocol: typeof data.protocol === 'string' ? rt.RouteProtocol[data.protocol] : data.protocol,
    flags: rt.formatRouteFlags(data.flags!),
    attrs,
  }
}

test('routes: they read what we write', t => {
  fc.assert(
    fc.property(arbitrary.route.filter(sayable), route => {
      const want = routeTheirs(route)
      const flags = want.data.flags.__unknown
      t.deepEqual(
        plain(routeNumbers(rt.parseRouteMessage(ours(addRoute(route))))),
        plain({...want.data, flags, attrs: want.attrs}),
      )
    }),
  )
})

test('routes: we read what they write', t => {
  fc.assert(
    fc.property(arbitrary.route.filter(sayable), route => {
      t.deepEqual(decodeRoute(theirs(rt.formatRouteMessage, routeTheirs(route))), route)
    }),
  )
})

// ---- addresses

function addressTheirs(address: Address) {
  return {
    kind: 'address' as const,
    data: {
      family: AF[address.ip.family],
      prefixlen: address.length,
      flags: {__unknown: address.flags & 0xff},
      scope: scopeNumber(address.scope),
      index: address.index,
    },
    attrs: {
      local: buffer(address.ip),
      address: buffer(address.peer ?? address.ip),
      flags: address.flags > 0xff ? {__unknown: address.flags} : undefined,
    },
  }
}

test('addresses: they read what we write', t => {
  fc.assert(
    fc.property(arbitrary.address, address => {
      const {data, attrs} = rt.parseAddressMessage(ours(addAddress(address)))
      const want = addressTheirs(address)
      t.deepEqual(plain({...data, flags: 0}), plain({...want.data, flags: 0}))
      t.deepEqual(plain({...attrs, flags: 0}), plain({...want.attrs, flags: 0}))
      t.is(rt.formatAddressFlags(attrs.flags ?? data.flags!) >>> 0, address.flags)
    }),
  )
})

test('addresses: we read what they write', t => {
  fc.assert(
    // It does not know IFA_PROTO.
    fc.property(arbitrary.address, ({protocol, ...address}) => {
      t.deepEqual(decodeAddress(theirs(rt.formatAddressMessage, addressTheirs(address))), address)
    }),
  )
})

// ---- neighbours and forwarding entries

function neighbourTheirs(entry: Neighbour | FdbEntry) {
  const isFdb = !('ip' in entry)
  return {
    kind: 'neighbor' as const,
    data: {
      family: isFdb ? AF_BRIDGE : AF[entry.ip.family],
      __pad1: 0,
      __pad2: 0,
      ifindex: entry.index,
      state: {__unknown: entry.state},
      flags: {__unknown: isFdb ? entry.flags : 0},
      type: 0,
    },
    attrs: {
      dst: isFdb ? buffer(entry.remote) : buffer(entry.ip),
      lladdr: macBytes(entry.mac!),
      ...(isFdb && {
        vlan: entry.vlan,
        vni: entry.vni === undefined ? undefined : u32(entry.vni),
        port: entry.port === undefined ? undefined : beU16(entry.port),
        ifindex: entry.via === undefined ? undefined : u32(entry.via),
      }),
    },
  }
}

function readsAs(t: {deepEqual: (a: unknown, b: unknown) => unknown}, body: Buffer, entry: Neighbour | FdbEntry): void {
  const {data, attrs} = rt.parseNeighborMessage(body)
  const numbers = {
    ...data,
    state: rt.formatNeighborState(data.state!) & 0xffff,
    flags: rt.formatNeighborFlags(data.flags!),
  }
  const want = neighbourTheirs(entry)
  const wantNumbers = {...want.data, state: want.data.state.__unknown, flags: want.data.flags.__unknown}
  t.deepEqual(plain(numbers), plain(wantNumbers))
  t.deepEqual(plain(attrs), plain(want.attrs))
}

test('neighbours: they read what we write, and the other way round', t => {
  fc.assert(
    fc.property(arbitrary.neighbour, entry => {
      readsAs(t, ours(addNeighbour({...entry, mac: entry.mac!})), entry)
      t.deepEqual(decodeNeighbour(theirs(rt.formatNeighborMessage, neighbourTheirs(entry))), entry)
    }),
  )
})

test('forwarding entries: they read what we write, and the other way round', t => {
  fc.assert(
    fc.property(arbitrary.fdbEntry, entry => {
      readsAs(t, ours(addFdb(entry)), entry)
      t.deepEqual(decodeFdb(theirs(rt.formatNeighborMessage, neighbourTheirs(entry))), entry)
    }),
  )
})

// ---- rules

function ruleTheirs(rule: Rule) {
  return {
    kind: 'rule' as const,
    data: {
      family: AF[rule.family],
      dstLen: rule.to?.length ?? 0,
      srcLen: rule.from?.length ?? 0,
      tos: 0,
      table: rule.table > 255 ? 0 : rule.table,
      __reserved1: 0,
      __reserved2: 0,
      action: 'toTbl' as const,
      flags: {},
    },
    attrs: {
      priority: rule.priority,
      table: rule.table,
      protocol: rule.protocol,
      dst: buffer(rule.to?.address),
      src: buffer(rule.from?.address),
      iifname: rule.iif,
      oifname: rule.oif,
      fwmark: rule.fwmark,
      fwmask: rule.fwmask,
    },
  }
}

test('rules: they read what we write, and the other way round', t => {
  fc.assert(
    fc.property(arbitrary.rule, rule => {
      const {data, attrs} = rt.parseRuleMessage(ours(addRule(rule)))
      const want = ruleTheirs(rule)
      t.deepEqual(plain({...data, flags: 0}), plain({...want.data, flags: 0}))
      t.deepEqual(plain(attrs), plain(want.attrs))
      t.deepEqual(decodeRule(theirs(rt.formatRuleMessage, ruleTheirs(rule))), rule)
    }),
  )
})

// ---- links

const IFLA_INFO = {KIND: 1, DATA: 2} as const

function linkTheirs(spec: LinkSpec) {
  const {kind} = spec
  return {
    ifname: spec.name,
    mtu: spec.mtu,
    address: spec.mac === undefined ? undefined : macBytes(spec.mac),
    group: spec.group,
    netNsFd: spec.netns,
    master: spec.master,
    link: kind.type === 'macvlan' ? u32(kind.parent) : undefined,
  }
}

function vxlanTheirs(kind: LinkSpec['kind'] & {type: 'vxlan'}) {
  const {local, remote} = kind
  return {
    id: kind.vni,
    port: beU16(kind.port),
    learning: kind.learning ? 1 : 0,
    link: kind.dev,
    ...(local && {[local.family === 4 ? 'local' : 'local6']: buffer(local)}),
    ...(remote && {[remote.family === 4 ? 'group' : 'group6']: buffer(remote)}),
  }
}

test('links: they read what we write', t => {
  fc.assert(
    fc.property(arbitrary.linkSpec, spec => {
      const {data, attrs} = rt.parseLinkMessage(ours(addLink(spec)))
      const {linkinfo, ...rest} = attrs
      t.deepEqual(plain(rest), plain(linkTheirs(spec)))
      t.is(data.flags?.up ?? false, spec.up ?? false)

      const info = new Map<number, Buffer>()
      parseAttributes(linkinfo!, each => void info.set(each.type, Buffer.from(each.data as Uint8Array)))
      t.is(info.get(IFLA_INFO.KIND)!.toString(), `${spec.kind.type}\0`)
      const inside = info.get(IFLA_INFO.DATA)!
      if (spec.kind.type === 'vxlan') t.deepEqual(plain(ifla.parseVxlan(inside)), plain(vxlanTheirs(spec.kind)))
      else if (spec.kind.type === 'veth') {
        const {peer} = spec.kind
        parseAttributes(inside, each => {
          const {attrs} = rt.parseLinkMessage(Buffer.from(each.data as Uint8Array))
          t.deepEqual(plain(attrs), plain(linkTheirs({...peer, kind: {type: 'bridge'}})))
        })
      }
    }),
  )
})

test('links: we read what they write', t => {
  fc.assert(
    fc.property(arbitrary.linkSpec, spec => {
      const linkinfo = new AttrStream()
      linkinfo.push(IFLA_INFO.KIND, Buffer.from(spec.kind.type))
      if (spec.kind.type === 'vxlan') linkinfo.push(IFLA_INFO.DATA, ifla.formatVxlan(vxlanTheirs(spec.kind) as never))
      const message = {
        kind: 'link' as const,
        data: {family: 0, index: 7, flags: spec.up ? {up: true as const} : {}},
        attrs: {...linkTheirs(spec), linkinfo: Buffer.concat(linkinfo.bufs)},
      }
      const link = decodeLink(theirs(rt.formatLinkMessage, message))!
      t.like(link, {index: 7, name: spec.name, kind: spec.kind.type, up: spec.up ?? false} as object)
      t.is(link.mtu, spec.mtu ?? 0)
      t.is(link.mac, spec.mac)
      t.is(link.group, spec.group ?? 0)
      t.is(link.master, spec.master)
      if (spec.kind.type === 'macvlan') t.is(link.parent, spec.kind.parent)
      if (spec.kind.type !== 'vxlan') return
      const {type, ...vxlan} = spec.kind
      t.deepEqual(link.vxlan, vxlan as typeof link.vxlan)
    }),
  )
})

test('its native part was never loaded', t => {
  t.deepEqual(
    Object.keys(require.cache).filter(path => /node-gyp-build|netlink[/]dist[/]raw|prebuilds/.test(path)),
    [],
  )
})
