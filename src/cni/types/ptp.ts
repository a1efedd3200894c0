/** The type "ptp": a veth whose other end is the pod's gateway, with a host route to each of the pod's addresses. */
import {quoted} from '../../model/errors.ts'
import {CniError} from '../error.ts'
import type {NativePlugin, PluginCall} from '../plugin.ts'
import {checkVeth} from './check.ts'
import {dnsOf, flag, ipamType, knower, mtuOf} from './config.ts'
import type {Lease} from './lease.ts'
import {aliasOf, hostName, randomHostMac, randomMac} from './marks.ts'
import type {TypePorts} from './ports.ts'
import {rebuildVeth} from './rebuild.ts'
import {repairVeth} from './repair.ts'
import {updateVeth} from './update-veth.ts'
import {addVeth, type VethType} from './veth.ts'
import {delVeth} from './veth-del.ts'
import type {VethPlan, Wiring} from './wiring.ts'

export function ptp(ports: TypePorts): NativePlugin {
  const bridges = new Map()
  return {
    knows: knower({keys: ['ipMasq', 'mtu']}),
    add: async call => addVeth(ports, TYPE, bridges, call),
    del: call => delVeth(ports, call, true),
    check: async call => checkVeth(ports, TYPE, call),
    repair: async call => repairVeth(ports, TYPE, bridges, call),
    rebuild: async call => rebuildVeth(ports, TYPE, bridges, call),
    update: async (call, before) => updateVeth(ports, TYPE, call, before),
  }
}

function plan(call: PluginCall): VethPlan {
  const {config} = call
  flag(config, 'ipMasq')
  dnsOf(config)
  if (!ipamType(config))
    throw new CniError('invalidConfig', `network ${quoted(config.name)} of type ptp has no ipam: it needs addresses`)
  const mtu = mtuOf(config)
  return {
    name: hostName(call),
    owner: aliasOf(call),
    hostMac: randomHostMac(),
    podMac: randomMac(),
    macIsOwn: true,
    ...(mtu !== undefined && {mtu}),
  }
}

function wire({config}: PluginCall, {ips, routes, dns}: Lease): Wiring {
  const lost = ips.find(({gateway}) => !gateway)
  if (lost)
    throw new CniError('failed', `IPAM of network ${quoted(config.name)} gave no gateway for ${lost.ip}/${lost.length}`)
  return {ips, routes, routed: true, gateways: [], dns: dnsOf(config) ?? dns, sysctls: []}
}

const TYPE: VethType = {plan, wire}
