/** A node between its pods and the outside, and who the outside sees. */
import {execFileSync} from 'node:child_process'
import type {ExecutionContext} from 'ava'
import type {NetworkFacts, Pod, Ruleset} from '../../src/masquerade/desired.ts'
import {readListing} from '../../src/masquerade/listing.ts'
import {textOf} from '../../src/masquerade/ranges.ts'
import {TABLE} from '../../src/masquerade/table.ts'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import type {Nft} from '../../src/model/nft.ts'
import {type NftProgram, nftProgram} from '../../src/netlink/nft.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'

/** A package of npm's may bring a command of the same name. */
export const NFT = '/usr/sbin/nft'

export const programIn = ({path}: Namespace): NftProgram => nftProgram({netns: path})

export const facts = (own: readonly string[], skip: readonly string[] = []): NetworkFacts => ({
  own: own.map(parseCidr),
  skip: skip.map(parseCidr),
})

export const pod = (ip: string, subnet: string): Pod => ({ip: parseIp(ip), subnet: parseCidr(subnet)})

/** As text, a line for each range and pod. */
export const format = ({own, skip, pods}: Ruleset): string =>
  [
    ...own.map(range => `own ${textOf(range)}`),
    ...skip.map(range => `skip ${textOf(range)}`),
    ...[...pods.values()].map(({ip, subnet}) => `pod ${ip} beyond ${subnet}`).sort(),
  ].join('\n')

/** What the kernel has, by the agent's own reading. */
export async function standing(nft: Nft): Promise<string | undefined> {
  const listed = await nft.list(TABLE)
  return listed && format(readListing(listed).ruleset)
}

/** The table in nft's own words, which have no handles. */
export const listed = (at: Namespace): string => at.exec(NFT, '-n', 'list', 'table', 'inet', TABLE)

/** Runs nft with a script on its standard input, as anybody else on the machine would. */
export const script = (at: Namespace, text: string): void =>
  void execFileSync('ip', ['netns', 'exec', at.name, NFT, '-f', '-'], {input: text, stdio: ['pipe', 'pipe', 'pipe']})

/** The node's addresses towards the outside. */
export const NODE = {4: '192.168.9.1', 6: 'fd00:9::1'} as const
/** Addresses that the outside has, all behind one cable. */
export const OUTSIDE = [
  ...['192.168.9.2/24', '198.51.100.1/32', '10.1.7.7/32', '10.2.0.1/32', '10.1.0.200/32'],
  ...['fd00:9::2/64', '2001:db8::1/128', 'fd00:1:0:7::7/128', 'fd00:2::1/128'],
]

export interface Road {
  readonly node: Namespace
  readonly outside: Namespace
  readonly pod: Namespace
  /** Gives the pod a cable to the node and addresses behind it. */
  connect(): void
  /** The source that `target` sees of the pod's ping, which must be answered. */
  seenBy(target: string, by?: Namespace): string
}

export async function road(t: ExecutionContext): Promise<Road> {
  const [pod, node, outside] = await namespaces(t, 3)
  for (const [at, key] of [
    [node, 'net.ipv4.ip_forward=1'],
    [node, 'net.ipv6.conf.all.forwarding=1'],
    [outside, 'net.ipv4.conf.all.rp_filter=0'],
  ] as const)
    at.exec('sysctl', '-qw', key)
  node.ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name)
  address(node, 'uplink', `${NODE[4]}/24`, `${NODE[6]}/64`)
  address(outside, 'eth0', ...OUTSIDE)
  node.ip('route', 'add', 'default', 'via', '192.168.9.2')
  node.ip('route', 'add', 'default', 'via', 'fd00:9::2')
  // Answers find back to a pod whose own address was seen, too.
  outside.ip('route', 'add', '10.1.0.0/16', 'via', NODE[4])
  outside.ip('route', 'add', 'fd00:1::/48', 'via', NODE[6])
  // More specific than the pod's subnet on the node.
  node.ip('route', 'add', '10.1.0.200/32', 'via', '192.168.9.2')
  for (const at of [outside, pod]) watch(at)
  return {
    node,
    outside,
    pod,
    connect: () => {
      node.ip('link', 'add', 'pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name)
      address(node, 'pod', '10.1.0.1/24', 'fd00:1::1/64')
      address(pod, 'eth0', '10.1.0.5/24', 'fd00:1::5/64')
      pod.ip('route', 'add', 'default', 'via', '10.1.0.1')
      pod.ip('route', 'add', 'default', 'via', 'fd00:1::1')
    },
    seenBy: (target, by = outside) => {
      const family = target.includes(':') ? 6 : 4
      by.exec(NFT, 'flush', 'set', 'inet', 'watch', `seen${family}`)
      pod.exec('ping', '-q', '-c', '1', '-W', '5', target)
      return seen(by, family)
    },
  }
}

/** Its set remembers from whom echo requests came. */
export function watch(at: Namespace): void {
  script(
    at,
    `table inet watch {
      set seen4 { type ipv4_addr; size 64; flags dynamic; }
      set seen6 { type ipv6_addr; size 64; flags dynamic; }
      chain input {
        type filter hook input priority 0;
        icmp type echo-request add @seen4 { ip saddr }
        icmpv6 type echo-request add @seen6 { ip6 saddr }
      }
    }`,
  )
}

function seen(by: Namespace, family: 4 | 6): string {
  const {nftables} = JSON.parse(by.exec(NFT, '-j', 'list', 'set', 'inet', 'watch', `seen${family}`))
  const {elem = []} = nftables.find((each: object) => 'set' in each).set
  return elem
    .map((each: unknown) => (typeof each === 'string' ? each : (each as {elem: {val: string}}).elem.val))
    .join(' ')
}

export function address(at: Namespace, dev: string, ...addresses: string[]): void {
  for (const each of addresses) at.ip('addr', 'add', each, 'dev', dev, ...(each.includes(':') ? ['nodad'] : []))
  at.ip('link', 'set', dev, 'up')
}
