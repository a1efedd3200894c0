/** The type "macvlan": a MAC of the pod's own on an interface of the host. */
import {quoted} from '../../model/errors.ts'
import type {NamespaceKernel} from '../../model/namespace.ts'
import {type Link, type Mac, type MacvlanMode, TABLE_MAIN} from '../../model/net.ts'
import {OWN_GROUP} from '../../model/plans.ts'
import {CniError} from '../error.ts'
import {requireInside} from '../interface-gone.ts'
import type {NativePlugin, PluginCall, PluginConfig} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {checkInside, checkIpam} from './check.ts'
import {dnsOf, ipamType, knower, linkName, macArgument, macIn, mtuOf, parseMac, word} from './config.ts'
import {refused, settled} from './kernel.ts'
import {ipOf, LAYER_2, type Lease, lease, release, routeOf} from './lease.ts'
import {aliasOf, birthName, randomMac} from './marks.ts'
import {enterFree, flush, type Inside, look, type Pod, removeInside, wirePod} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {previousOf} from './previous.ts'
import {keepLease, requireVanished} from './rebuild.ts'
import {checkDeadline, undone} from './undo.ts'
import type {Made} from './update.ts'
import {updateMacvlan} from './update-macvlan.ts'
import {layer2, type MacvlanPlan, type Wiring} from './wiring.ts'

export function macvlan(ports: TypePorts): NativePlugin {
  return {
    knows: knower({keys: ['master', 'mode', 'mtu', 'mac'], off: ['linkInContainer']}),
    add: call => add(ports, call),
    del: call => del(ports, call),
    check: call => check(ports, call),
    repair: call => repair(ports, call),
    rebuild: call => rebuild(ports, call),
    update: async (call, before) => updateMacvlan(ports, {plan, macOf, wire}, call, before),
  }
}

const MODES: Readonly<Record<string, MacvlanMode>> = {
  bridge: 'bridge',
  private: 'private',
  vepa: 'vepa',
  passthru: 'passthru',
}

/** Throws CniError. */
function plan(call: PluginCall): MacvlanPlan {
  const {config} = call
  dnsOf(config)
  ipamType(config)
  const mtu = mtuOf(config)
  if ((config.mtu as number) < 0) throw tooLarge(config, 'at least 0')
  const name = word(config, 'mode') ?? 'bridge'
  const mode = Object.hasOwn(MODES, name) ? MODES[name]! : undefined
  if (!mode)
    throw new CniError(
      'invalidConfig',
      `mode of network ${quoted(config.name)} must be one of ${Object.keys(MODES).join(', ')}, not ${quoted(name)}`,
    )
  const master = linkName(config, 'master')
  const mac = macOf(call) ?? (mode === 'passthru' ? undefined : randomMac())
  return {
    owner: aliasOf(call),
    birthName: birthName(call),
    mode,
    ...(master !== undefined && {master}),
    ...(mtu !== undefined && {mtu}),
    ...(mac !== undefined && {mac}),
  }
}

const tooLarge = (config: PluginConfig, must: string): CniError =>
  new CniError('invalidConfig', `mtu of network ${quoted(config.name)} must be ${must}, not ${config.mtu}`)

/** The runtime's wish goes before CNI_ARGS, and that before the config. */
function macOf({config, args}: Made): Mac | undefined {
  const written = word(config, 'mac')
  const own = written === undefined ? undefined : parseMac(config, 'mac', written)
  const argument = macArgument(config, args)
  return macIn(config, 'runtimeConfig', config.runtimeConfig) ?? argument ?? own
}

/** The interface of the host that carries it. Rejects with CniError. */
async function masterOf(host: NamespaceKernel, config: PluginConfig, {master, mtu}: MacvlanPlan): Promise<Link> {
  const link = await host.link(master ?? (await defaultDevice(host, config)))
  if (!link)
    throw new CniError(
      'failed',
      `the host has no interface ${quoted(master ?? '')}, the master of ${quoted(config.name)}`,
    )
  if (mtu !== undefined && mtu > link.mtu)
    throw tooLarge(config, `at most ${link.mtu}, that of its master ${quoted(link.name)}`)
  return link
}

async function defaultDevice(host: NamespaceKernel, config: PluginConfig) {
  for (const family of [4, 6] as const) {
    const routes = await host.routes({family, table: TABLE_MAIN, type: 'unicast'})
    const dev = routes.find(({destination}) => destination.length === 0)?.nextHops[0]?.dev
    if (dev !== undefined) return dev
  }
  const why = 'the host has no default route whose interface it could take'
  throw new CniError('failed', `network ${quoted(config.name)} names no master, and ${why}`)
}

interface Again {
  readonly planned: MacvlanPlan
  readonly lease: Lease
}

/** `again`: what one that is made anew had. */
async function add(ports: TypePorts, call: PluginCall, again?: Again): Promise<CniResult> {
  const {config} = call
  const planned = again?.planned ?? plan(call)
  const [pod, master] = await settled<[Pod, Link]>([enterFree(call), masterOf(ports.host, config, planned)])
  checkDeadline(call)
  const undo: (() => Promise<void>)[] = []
  const made = makeMacvlan(ports.host, planned, pod, master).then(link => {
    undo.push(() => removeInside({pod, link, addresses: []}))
    return link
  })
  const leased = again
    ? Promise.resolve(again.lease)
    : lease(ports, call).then(got => {
        if (got) undo.push(() => release(ports, call))
        return got ?? LAYER_2
      })
  try {
    const [link, got] = await settled<[Link, Lease]>([made, leased])
    checkDeadline(call)
    const wiring = wire(config, got)
    await wirePod(pod, wiring, link.index, {from: planned.birthName, alias: planned.owner})
    checkDeadline(call)
    return resultOf(call, link.mac, wiring)
  } catch (error) {
    throw await undone(error, undo)
  }
}

function resultOf({ifname, netns}: PluginCall, mac: string | undefined, {ips, routes, dns}: Wiring): CniResult {
  const own = {name: ifname, ...(mac !== undefined && {mac}), sandbox: netns}
  return {interfaces: [own], ips: ips.map(ip => ipOf(ip, 0)), routes: routes.map(routeOf), dns}
}

function wire(config: PluginConfig, {ips, routes}: Lease): Wiring {
  // Unlike ptp, this type does not pass on what IPAM says of DNS.
  const dns = dnsOf(config) ?? {}
  if (!ipamType(config)) return layer2(dns)
  return {ips, routes, routed: false, gateways: [], dns, sysctls: [['ipv4', 'arp_notify', '1']]}
}

/** Under a name that the host's namespace cannot have: kernels look for it there. */
async function makeMacvlan(host: NamespaceKernel, planned: MacvlanPlan, pod: Pod, master: Link): Promise<Link> {
  const {birthName: name, mode, mtu, mac} = planned
  const given = {...(mtu !== undefined && {mtu}), ...(mac !== undefined && {mac})}
  const kind = {type: 'macvlan', parent: master.index, mode} as const
  const item = {name, group: OWN_GROUP, netns: pod.sandbox.fd, kind, ...given}
  const make = async () => (await host.change([{op: 'add', object: 'link', item}]))[0]?.refusal
  let refusal = await make()
  if (refusal?.code === 'EEXIST') {
    // An ADD of this interface was killed before it had its own name.
    const leftover = await pod.kernel.link(name)
    if (leftover) await removeInside({pod, link: leftover, addresses: []})
    refusal = await make()
  }
  if (refusal) throw refused(`${quoted(pod.ifname)} cannot be made on ${quoted(master.name)}`, refusal)
  const link = await pod.kernel.link(name)
  if (!link) throw new CniError('failed', `${quoted(pod.ifname)} has gone as soon as it was made`)
  return link
}

/** It has no end on the host: where the pod has gone, so has the link. */
async function del(ports: TypePorts, call: PluginCall): Promise<void> {
  const found = await settled<[Inside | undefined, Inside | undefined]>([look(call), look(call, birthName(call))])
  const inside = found.filter(each => each !== undefined)
  await settled(inside.map(flush))
  const gone = settled(inside.map(removeInside))
  call.later(gone)
  await release(ports, call)
}

async function check(ports: TypePorts, call: PluginCall): Promise<void> {
  const planned = plan(call)
  await checkIpam(ports, call)
  const previous = previousOf(call)
  const master = await masterOf(ports.host, call.config, planned)
  const {link} = await checkInside(call, previous, 'macvlan')
  if (link.macvlan?.mode !== planned.mode)
    throw new CniError('failed', `${quoted(link.name)} has the mode ${link.macvlan?.mode}, not ${planned.mode}`)
  if (link.parent !== master.index)
    throw new CniError('failed', `${quoted(link.name)} is not on ${quoted(master.name)} any more`)
}

/** Addresses and routes of a macvlan outlive a time in which its parent is down. What does not is made anew. */
async function repair(ports: TypePorts, call: PluginCall): Promise<readonly string[]> {
  const planned = plan(call)
  const previous = previousOf(call)
  const inside = await look(call)
  if (!call.sandbox) return []
  if (!inside) await requireInside(await call.sandbox.kernel(), previous.inside)
  // Which it hangs on is the kernel's choice of the time when it was made.
  if (!inside || planned.master === undefined) return []
  const master = await masterOf(ports.host, call.config, planned)
  if (inside.link.parent !== master.index)
    throw new CniError(
      'failed',
      `${quoted(call.ifname)} is not on ${quoted(master.name)} any more: delete it in the pod to have it made anew`,
    )
  if (!master.up)
    throw new CniError('failed', `${quoted(master.name)}, which ${quoted(call.ifname)} is on, is down: set it up`)
  return []
}

async function rebuild(ports: TypePorts, call: PluginCall): Promise<CniResult> {
  const previous = previousOf(call)
  const planned = plan(call)
  await requireVanished(call, previous)
  await keepLease(ports, call, previous)
  const mac = previous.inside.mac?.toLowerCase() as Mac | undefined
  // In mode passthru it has that of its parent, whichever that is.
  const again = mac !== undefined && planned.mode !== 'passthru' ? {...planned, mac} : planned
  return add(ports, call, {planned: again, lease: previous.lease})
}
