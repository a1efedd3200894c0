/** IPAM `static`: the addresses that the config says, or that the runtime asks for. Like the program of that name (1.1.1). */
import {Cidr, type Ip, type IpWithPrefix} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import type {NativePlugin, PluginCall, PluginConfig} from '../plugin.ts'
import type {CniDns, CniResult} from '../result.ts'
import {addressOf, formatPrefixed, prefixedOf, requestedOf} from './address.ts'
import {envArgs} from './env-args.ts'
import {isObject, listOf, objectOf, onlyKeys, plainlySpelled, textOf, textsOf} from './json.ts'
import {knowsRoutes, routesOf} from './routes.ts'

const KEYS = new Set(['type', 'name', 'addresses', 'routes', 'dns'])
const ADDRESS_KEYS = new Set(['address', 'gateway'])
const DNS_KEYS = new Set(['nameservers', 'domain', 'search', 'options'])

interface StaticAddress extends IpWithPrefix {
  readonly gateway?: Ip | undefined
}

export const staticIpam = (): NativePlugin => ({
  knows,
  add: async call => resultOf(call),
  check: async call => checkGateways(call),
  del: async () => {},
})

/** Whether it gives addresses that the config's author has not written down. Of a config that may have anything in it. */
export function givesWhatIsAsked({config: {runtimeConfig, args: ofConfig}, args}: PluginCall): boolean {
  const {cni} = (ofConfig ?? {}) as {readonly cni?: {readonly ips?: unknown}}
  return [runtimeConfig?.ips, cni?.ips, envArgs(args, ['IP']).IP].some(ips => `${ips ?? ''}` !== '')
}

/** Of a key that is not served, or spelled in another way, the program of that name knows more. */
const knows = ({ipam, ...config}: PluginConfig): boolean =>
  plainlySpelled(config, ['ipam', 'runtimeConfig', 'args']) &&
  plainlySpelled(config.runtimeConfig, ['ips']) &&
  plainlySpelled(config.args, ['cni']) &&
  plainlySpelled(config.args?.cni, ['ips']) &&
  onlyKeys(ipam, KEYS) &&
  onlyKeys(ipam?.dns, DNS_KEYS) &&
  (!Array.isArray(ipam?.addresses) || ipam.addresses.every(address => onlyKeys(address, ADDRESS_KEYS))) &&
  knowsRoutes(ipam?.routes)

function resultOf({config, args}: PluginCall): CniResult {
  const ipam = sectionOf(config)
  const routes = routesOf(ipam.routes)
  const dns = dnsOf(ipam.dns)
  const ips = addressesOf(config, args).map(address => ({
    address: formatPrefixed(address),
    ...(address.gateway && {gateway: `${address.gateway}`}),
  }))
  return {interfaces: [], ips, routes, dns}
}

function sectionOf(config: PluginConfig): NonNullable<PluginConfig['ipam']> {
  if (!isObject(config.ipam)) throw new CniError('invalidConfig', 'ipam must be an object')
  textOf(config.ipam.type, 'ipam.type')
  textOf(config.ipam.name, 'ipam.name')
  return config.ipam
}

/** The capability's in the first place, then those of args.cni, then the config's with those of CNI_ARGS behind them. */
function addressesOf(config: PluginConfig, args: string): StaticAddress[] {
  const configured = listOf(sectionOf(config).addresses, 'ipam.addresses').map((item, i) => {
    const where = `ipam.addresses[${i}]`
    const {address, gateway} = objectOf(item, where)
    return {address: textOf(address, `${where}.address`), where, gateway: addressOf(gateway, `${where}.gateway`)}
  })
  const byArgs = textsOf(objectOf(objectOf(config.args, 'args').cni, 'args.cni').ips, 'args.cni.ips')
  const byCapability = textsOf(objectOf(config.runtimeConfig, 'runtimeConfig').ips, 'runtimeConfig.ips')
  const asked = argsAddresses(args)
  if (byArgs.length > 0) {
    const addresses = byArgs.map((text, i) => prefixedOf(text, `args.cni.ips[${i}]`))
    if (byCapability.length === 0) return addresses
  }
  if (byCapability.length > 0) return byCapability.map((text, i) => prefixedOf(text, `runtimeConfig.ips[${i}]`))
  return [
    ...configured.map(({address, where, gateway}) => ({...prefixedOf(address, `${where}.address`), gateway})),
    ...asked,
  ]
}

/** IP is a list with commas; each of GATEWAY is that of the addresses in whose subnet it lies. */
function argsAddresses(args: string): StaticAddress[] {
  const {IP = '', GATEWAY = ''} = envArgs(args, ['IP', 'GATEWAY'])
  const gateways = items(GATEWAY).map(text => requestedGateway(text))
  return items(IP).map(text => {
    const address = prefixedOf(text, 'IP of CNI_ARGS')
    const subnet = new Cidr(address.ip, address.length)
    return {...address, gateway: gateways.findLast(gateway => subnet.contains(gateway))}
  })
}

const items = (list: string): string[] => (list === '' ? [] : list.split(',').map(item => item.trim()))

function requestedGateway(text: string): Ip {
  if (text.includes('/')) throw new CniError('invalidConfig', 'GATEWAY of CNI_ARGS takes no prefix length')
  return requestedOf(text, 'GATEWAY of CNI_ARGS')
}

function dnsOf(value: unknown): CniDns {
  const dns = objectOf(value, 'ipam.dns')
  const nameservers = textsOf(dns.nameservers, 'ipam.dns.nameservers')
  const domain = textOf(dns.domain, 'ipam.dns.domain')
  const search = textsOf(dns.search, 'ipam.dns.search')
  const options = textsOf(dns.options, 'ipam.dns.options')
  return {
    ...(nameservers.length > 0 && {nameservers}),
    ...(domain !== '' && {domain}),
    ...(search.length > 0 && {search}),
    ...(options.length > 0 && {options}),
  }
}

/** What the result has of the addresses must still have their gateways; that it has them all is not asked. */
function checkGateways({config, args, ifname}: PluginCall): void {
  if (!isObject(config.prevResult))
    throw new CniError('invalidConfig', 'prevResult is missing: it must be the result of ADD')
  const had = listOf(config.prevResult.ips, 'prevResult.ips').map((item, i) => {
    const where = `prevResult.ips[${i}]`
    const {address, gateway} = objectOf(item, where)
    return {...prefixedOf(address, `${where}.address`), gateway: addressOf(gateway, `${where}.gateway`)}
  })
  for (const {ip, gateway} of addressesOf(config, args)) {
    const first = had.find(other => other.ip.raw === ip.raw)
    if (first && gateway && gateway.raw !== first.gateway?.raw)
      throw new CniError(
        'failed',
        `${ip} of ${ifname} has the gateway ${first.gateway ?? '(none)'} instead of ${gateway}: it must be added again`,
      )
  }
}
