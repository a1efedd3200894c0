/** What the kernel has of networks, read by ourselves: the parts of a bundle that need no agent. */
import {GUARD_TABLE} from '../../guard/table.ts'
import {TABLE} from '../../masquerade/table.ts'
import {Kernel} from '../../netlink/kernel.ts'
import {nftProgram} from '../../netlink/nft.ts'
import {dumpRules} from '../../netlink/rule.ts'
import {kernelSource} from '../../netlink/source.ts'
import type {Parts} from './parts.ts'

/** Below /proc/sys/net. */
const SYSCTLS = [
  ...['forwarding', 'rp_filter', 'arp_ignore', 'proxy_arp', 'route_localnet'].flatMap(name => [
    `ipv4/conf/all/${name}`,
    `ipv4/conf/default/${name}`,
  ]),
  ...['forwarding', 'disable_ipv6', 'accept_ra', 'addr_gen_mode'].flatMap(name => [
    `ipv6/conf/all/${name}`,
    `ipv6/conf/default/${name}`,
  ]),
  ...['ipv4', 'ipv6'].flatMap(family => [1, 2, 3].map(n => `${family}/neigh/default/gc_thresh${n}`)),
  ...['ip_forward', 'ip_no_pmtu_disc', 'icmp_echo_ignore_all', 'fib_multipath_hash_policy'].map(name => `ipv4/${name}`),
  ...['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'].map(name => `bridge/${name}`),
  ...['nf_conntrack_max', 'nf_conntrack_count'].map(name => `netfilter/${name}`),
  'ipv6/route/max_size',
]
/** Of each interface that is no pod's. */
const OF_LINK = ['ipv4', 'ipv6'].flatMap(family => {
  const names = family === 'ipv4' ? ['forwarding', 'rp_filter'] : ['forwarding', 'accept_ra', 'disable_ipv6', 'mtu']
  return names.map(name => [family, name] as const)
})
/** Interfaces. */
const MANY = 100

/** As `ip` and `bridge` show them, in our own words. */
export function kernelParts(searchPath: string): Parts {
  const inKernel =
    <T>(read: (kernel: Kernel) => Promise<T>) =>
    async () => {
      const kernel = await Kernel.open()
      try {
        return await read(kernel)
      } finally {
        kernel.close()
      }
    }
  return {
    'kernel/network.json': inKernel(async kernel => {
      const {links, addresses, routes, neighbours, fdb} = await kernelSource(kernel).snapshot()
      const rules = [...(await kernel.dump(dumpRules(4))), ...(await kernel.dump(dumpRules(6)))]
      return {links, addresses, routes, neighbours, fdb, rules}
    }),
    'kernel/sysctl.json': inKernel(async kernel => {
      const {links} = await kernelSource(kernel).snapshot()
      const devices = links.filter(({kind}) => kind !== 'veth').slice(0, MANY)
      const names = [
        ...SYSCTLS,
        ...devices.flatMap(({name}) => OF_LINK.map(([family, key]) => `${family}/conf/${name}/${key}`)),
      ]
      const values = await Promise.all(names.map(name => kernel.readSysctl(name).catch(() => undefined)))
      return Object.fromEntries(names.flatMap((name, i) => (values[i] === undefined ? [] : [[name, values[i].trim()]])))
    }),
    'kernel/nft.json': async () => {
      const program = nftProgram({path: searchPath})
      const list = async (table: string) => (await program.list(table)) ?? 'it is not there'
      return {[TABLE]: await list(TABLE), [GUARD_TABLE]: await list(GUARD_TABLE)}
    },
  }
}
