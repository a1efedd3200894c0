/** What is kept up to date piece by piece is what it would be made from nothing. */
import test from 'ava'
import fc from 'fast-check'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import type {IfIndex, Mac} from '../../src/model/net.ts'
import type {Change} from '../../src/model/plans.ts'
import {formatRoute} from '../../src/netlink/route.ts'
import type {Site} from '../../src/routes/backends/backend.ts'
import {Comparison} from '../../src/routes/comparison.ts'
import {type Cluster, type Desired, desiredState} from '../../src/routes/desired.ts'
import {diffState} from '../../src/routes/diff.ts'
import {atOnce, Planner} from '../../src/routes/planner.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {KeptChangeLog} from '../../src/streams/change-log.ts'
import {MutableKernelState} from '../../src/streams/kernel-state.ts'
import {kernel, network} from './support.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as NodeName[]
const site: Site = {
  network: network({backend: 'auto', pods: {mode: 'ptp'}}),
  underlay: readUnderlay(kernel(['2 eth0 192.168.0.1/24']), [], []),
  devices: {4: 4 as IfIndex, 6: 6 as IfIndex},
  macs: new Set(['02:00:00:00:00:05']),
}

/** Few values, so that nodes get into each other's way. */
const facts = fc
  .record({
    name: fc.constantFrom(...NAMES),
    age: fc.nat(2),
    ranges: fc.uniqueArray(
      fc.constantFrom(
        '10.1.1.0/24',
        '10.1.2.0/24',
        '10.1.3.0/24',
        '10.1.0.0/16',
        'fd00:1::/64',
        'fd00:2::/64',
        '0.0.0.0/0',
        '10.9.9.0/24',
        'fd00:9::/64',
      ),
      {maxLength: 2},
    ),
    address: fc.constantFrom('192.168.0.2', '192.168.0.3', '10.9.9.9', 'fd00:9::9'),
    mac: fc.constantFrom(
      '02:00:00:00:00:01',
      '02:00:00:00:00:02',
      '02:00:00:00:00:03',
      '02:00:00:00:00:04',
      '02:00:00:00:00:05',
      '',
    ),
    end: fc.constantFrom('10.9.9.9', '10.9.9.8', 'fd00:9::9'),
    problem: fc.boolean(),
  })
  .map(
    ({name, age, ranges, address, mac, end, problem}): NodeFacts => ({
      name,
      machineId: '',
      createdAt: age,
      podCIDRs: ranges.map(parseCidr),
      addresses: [parseIp(address)],
      vteps: mac ? [{network: 'default', vni: 1, port: 8472, ends: [{ip: parseIp(end), mac: mac as Mac}]}] : [],
      problems: problem ? ['something is odd'] : [],
    }),
  )

/** A node comes or changes; goes; or changes in what moves nothing. */
const touch = fc.record({touch: fc.constantFrom(...NAMES), problems: fc.constantFrom([], ['something is odd'])})
const step = fc.oneof({weight: 3, arbitrary: facts}, fc.constantFrom(...NAMES), touch)
type Step = NodeFacts | NodeName | {touch: NodeName; problems: readonly string[]}

const text = ({routes, tunnels, peers, problems, ways}: Desired): string =>
  [
    ...[...routes.values()].map(formatRoute),
    ...[...tunnels].flatMap(([index, {addresses, neighbours, fdb}]) => [
      ...addresses.map(({ip}) => `addr ${index} ${ip}`),
      ...[...neighbours].map(([ip, {mac}]) => `neigh ${index} ${ip} ${mac}`),
      ...[...fdb].map(([mac, {remote}]) => `fdb ${index} ${mac} ${remote}`),
    ]),
    ...problems.map(({kind, message}) => `${kind} ${message}`),
    `${peers} peers, ${ways[4]} and ${ways[6]} ways`,
  ]
    .sort()
    .join('\n')

/** Nodes, and a log of what happens to them. */
class LoggedNodes {
  readonly items = new Map<NodeName, NodeFacts>()
  readonly log = new KeptChangeLog<NodeName>()

  apply(change: Step): void {
    if (typeof change === 'object' && 'touch' in change) {
      const known = this.items.get(change.touch)
      if (known) this.apply({...known, problems: change.problems})
      return
    }
    const name = typeof change === 'string' ? change : change.name
    if (typeof change === 'string') this.items.delete(change)
    else this.items.set(name, change)
    this.log.add(name)
  }
}

const clusterOf = ({items: nodes, log}: LoggedNodes): Cluster => ({
  nodes,
  log,
  own: nodes.get('a' as NodeName),
  addressesOf: node => node.addresses,
})

const placeOf = ({own}: Cluster): string => (own ? `${own.podCIDRs} ${own.addresses}` : '')

test('property: nodes that come, change and go one by one or together', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, {minLength: 1, maxLength: 3}), {maxLength: 12}), async steps => {
      const planner = new Planner(atOnce)
      const nodes = new LoggedNodes()
      let own = ''
      for (const changes of steps) {
        for (const change of changes) nodes.apply(change)
        const cluster = clusterOf(nodes)
        const {desired} = await planner.update(cluster, site, placeOf(cluster) !== own)
        own = placeOf(cluster)
        t.is(text(desired), text(desiredState(cluster, site)))
      }
    }),
    {numRuns: 400},
  )
})

test('property: looking where something was touched finds what looking everywhere finds', async t => {
  const noise = fc.record({
    object: fc.constantFrom('route', 'neighbour', 'fdb'),
    gone: fc.boolean(),
    which: fc.nat(5),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({changes: fc.array(step, {maxLength: 2}), noise: fc.array(noise, {maxLength: 3}), refuse: fc.nat(4)}),
        {maxLength: 10},
      ),
      async rounds => {
        const planner = new Planner(atOnce)
        const comparison = new Comparison(107, atOnce)
        const state = new MutableKernelState({
          links: [4, 6].map(index => ({
            index: index as IfIndex,
            name: `v${index}`,
            kind: 'vxlan',
            up: true,
            carrier: true,
            loopback: false,
            mtu: 1450,
            group: 0,
          })),
          addresses: [],
          routes: [],
          neighbours: [],
          fdb: [],
        })
        const nodes = new LoggedNodes()
        let own = ''
        for (const {changes, noise: strangers, refuse} of rounds) {
          for (const change of changes) nodes.apply(change)
          for (const {object, gone, which} of strangers) {
            const all =
              object === 'route'
                ? [...state.routes.values()].flat()
                : object === 'fdb'
                  ? [...state.fdb.values()].flatMap(each => [...each.values()].flat())
                  : [...state.neighbours.values()].flatMap(each => [...each.values()])
            const item = all[which]
            if (item)
              state.apply({object, gone, item: gone ? item : {...item, metric: 7, mac: '02:00:00:00:00:09'}} as never)
          }
          const cluster = clusterOf(nodes)
          const {desired, touched} = await planner.update(cluster, site, placeOf(cluster) !== own)
          own = placeOf(cluster)
          const found: Change[] = []
          await comparison.find(desired, state, touched, async changes => {
            found.push(...changes)
          })
          const whole = diffState(desired, state, 107)
          t.deepEqual(found.map(plain).sort(), whole.changes.map(plain).sort())
          t.is(comparison.conflicts.length, [...whole.conflicts.values()].flat().length)
          const undone = found.filter((_, i) => refuse > 0 && i % refuse === 0)
          for (const change of found.filter(each => !undone.includes(each)))
            if (change.object !== 'link' && change.object !== 'address')
              state.apply({
                object: change.object,
                gone: change.op === 'delete',
                item: change.item,
                replaces: change.op === 'replace',
                own: true,
              } as never)
          comparison.made(undone)
        }
      },
    ),
    {numRuns: 300},
  )
})

const plain = (change: object): string => JSON.stringify(change, (_, value) => (value?.bytes ? `${value}` : value))
