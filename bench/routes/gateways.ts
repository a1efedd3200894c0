/**
 * Part "kernel": why the floor is where it is. The kernel keeps the next hops of IPv4 routes in a hash table by device,
 * protocol, metric and preferred source address, but not by gateway (fib_info_hashfn, net/ipv4/fib_semantics.c): of
 * thousands of gateways on one device, each new one is compared with all others.
 */
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import {type IfIndex, type Route, TABLE_MAIN} from '../../src/model/net.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {dumpLinks} from '../../src/netlink/link.ts'
import {addRoute} from '../../src/netlink/route.ts'
import type {Bench} from '../bench.ts'
import {addressesOf, podCIDRsOf} from '../cluster.ts'
import {makeSite, type Site} from '../site.ts'
import {median} from '../statistics.ts'
import {encodeAll} from './messages.ts'
import {buildFloor} from './rivals.ts'

const PART = 'kernel, per route'
const METRIC = 2048
/** Repetitions: these differ by factors. */
const MOST = 3

interface Variant {
  readonly name: string
  readonly family: 0 | 1
  readonly gatewayOf: (n: number) => number
  readonly metricOf: (n: number) => number
}

const VARIANTS: readonly Variant[] = [
  {name: 'IPv4, a gateway each', family: 0, gatewayOf: n => n, metricOf: () => METRIC},
  {name: 'IPv4, a gateway each, 64 metrics', family: 0, gatewayOf: n => n, metricOf: n => METRIC + (n % 64)},
  {name: 'IPv4, one gateway', family: 0, gatewayOf: () => 1, metricOf: () => METRIC},
  {name: 'IPv6, a gateway each', family: 1, gatewayOf: n => n, metricOf: () => METRIC},
]

export async function measureGateways({run, calm, results, repetitions}: Bench, nodes: number): Promise<void> {
  const floor = await buildFloor(run)
  for (const variant of VARIANTS) {
    const samples: number[] = []
    for (let turn = 0; turn < Math.min(repetitions, MOST); turn++) {
      const ms = await calm.measure(async () => {
        const site = await makeSite(run)
        const file = join(run.folder, 'variant')
        await writeFile(file, await messagesFor(site, variant, nodes))
        const taken = await floor(site, file, turn)
        await site.remove()
        return taken
      })
      samples.push((ms / (nodes - 1)) * 1000)
    }
    const column = `${nodes.toLocaleString('en-US')} nodes`
    results.add(PART, column, {name: variant.name, unit: 'µs'}, median(samples), samples)
  }
}

async function messagesFor(site: Site, {family, gatewayOf, metricOf}: Variant, nodes: number): Promise<Buffer> {
  const dev = await indexOfEth0(site)
  const routes = Array.from({length: nodes - 1}, (_, i): Route => {
    const gateway = parseIp(addressesOf(gatewayOf(i + 1))[family])
    return {
      destination: parseCidr(podCIDRsOf(i + 1)[family]),
      type: 'unicast',
      table: TABLE_MAIN,
      protocol: 107,
      metric: metricOf(i + 1),
      scope: 'global',
      nextHops: [{gateway, dev}],
    }
  })
  return encodeAll(routes.map(addRoute))
}

async function indexOfEth0(site: Site): Promise<IfIndex> {
  const kernel = await Kernel.open({netns: site.path})
  try {
    return (await kernel.dump(dumpLinks())).find(({name}) => name === 'eth0')!.index
  } finally {
    kernel.close()
  }
}
