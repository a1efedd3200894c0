/** Where the lab's nodes are, which routes they should have, and how their changes are told. */
import test from 'ava'
import {expectedRoutes} from '../../src/lab/expected-routes.ts'
import {objectNews, routeNews} from '../../src/lab/news.ts'
import {nodeObject} from '../../src/lab/objects.ts'
import {type LabFamily, type LabPlan, planLab, type Topology} from '../../src/lab/plan.ts'
import type {Way} from '../../src/lab/ways.ts'
import type {NodeFacts} from '../../src/model/facts.ts'
import type {Mac} from '../../src/model/net.ts'
import {projectNode} from '../../src/streams/nodes.ts'

const plan = (topology: Topology, nodes = 3, family: LabFamily = 'dual') =>
  planLab('abcde', {nodes, podsPerNode: 0, family, topology})

const subnets = ({subnets}: LabPlan): string =>
  subnets
    .map(({bridge, addresses, nodes}) => {
      const own = nodes.map(node => `${node.name} ${node.addresses.map(({ip}) => ip).join(' ')}`)
      return `${bridge} ${addresses.map(({ip, length}) => `${ip}/${length}`).join(' ')}: ${own.join(', ')}`
    })
    .join('\n')

for (const [topology, nodes, family, want] of [
  ['l2', 2, '4', 'br100 192.168.100.254/24: n1 192.168.100.1, n2 192.168.100.2'],
  [
    'l3',
    2,
    'dual',
    `br101 192.168.101.254/24 fd00:101::254/64: n1 192.168.101.1 fd00:101::1
br102 192.168.102.254/24 fd00:102::254/64: n2 192.168.102.2 fd00:102::2`,
  ],
  [
    'mixed',
    3,
    '6',
    `br101 fd00:101::254/64: n1 fd00:101::1, n2 fd00:101::2
br102 fd00:102::254/64: n3 fd00:102::3`,
  ],
] as const)
  test(`${topology}: the subnets and their nodes`, t => t.is(subnets(plan(topology, nodes, family)), want))

for (const [topology, nodes, want] of [
  ['l2', 50, '50'],
  ['mixed', 4, '3 1'],
  ['mixed', 10, '7 3'],
  ['mixed', 50, '34 16'],
  ['l3', 50, Array(50).fill(1).join(' ')],
] as const)
  test(`${topology}: how ${nodes} nodes are spread`, t => {
    const {subnets, nodes: all} = plan(topology, nodes)
    t.is(subnets.map(subnet => subnet.nodes.length).join(' '), want)
    t.deepEqual(
      all.map(({name}) => name),
      Array.from({length: nodes}, (_, i) => `n${i + 1}`),
    )
    t.is(new Set(all.map(({mac}) => mac)).size, nodes)
    t.is(new Set(all.flatMap(({addresses}) => addresses.map(({ip}) => `${ip}`))).size, 2 * nodes)
  })

/** As the API server has them. @param tunnels of nodes that have published one */
const objects = ({nodes}: LabPlan, tunnels: readonly string[]): NodeFacts[] =>
  nodes.map(node => {
    const ends = node.addresses.map(({ip}) => ({ip, mac: node.mac as Mac}))
    const vteps = tunnels.includes(node.name) ? [{network: 'default', vni: 1, port: 8472, ends}] : []
    return {...projectNode(nodeObject(node)), vteps}
  })

const ALL = ['n1', 'n2', 'n3']
const DIRECT = '10.244.2.0/24 direct, fd00:244:2::/64 direct'

for (const [what, topology, backend, tunnels, want] of [
  ['one subnet', 'l2', 'auto', ALL, `${DIRECT}, 10.244.3.0/24 direct, fd00:244:3::/64 direct`],
  ['one subnet, told to tunnel', 'l2', 'vxlan', ['n3'], '10.244.3.0/24 vxlan, fd00:244:3::/64 vxlan'],
  ['two subnets', 'mixed', 'auto', ALL, `${DIRECT}, 10.244.3.0/24 vxlan, fd00:244:3::/64 vxlan`],
  ['two subnets, no tunnel yet', 'mixed', 'auto', ['n1', 'n2'], DIRECT],
  ['two subnets, told not to tunnel', 'mixed', 'direct', ALL, DIRECT],
  ['a subnet each', 'l3', 'auto', ['n2'], '10.244.2.0/24 vxlan, fd00:244:2::/64 vxlan'],
] as const)
  test(`the routes that n1 should have: ${what}`, t => {
    const lab = plan(topology)
    const routes = expectedRoutes(lab.nodes[0]!, objects(lab, tunnels), backend)
    t.is([...routes].map(([range, way]) => `${range} ${way}`).join(', '), want)
  })

test('a tunnel over one family carries both, but a node has to have that family', t => {
  const n2 = objects(plan('l3', 2), ['n2'])[1]!
  const [vtep] = n2.vteps
  const over4 = {...n2, vteps: [{...vtep!, ends: vtep!.ends.slice(0, 1)}]}
  const ranges = (family: LabFamily) => [...expectedRoutes(plan('l3', 2, family).nodes[0]!, [over4], 'auto').keys()]
  t.deepEqual(ranges('dual'), ['10.244.2.0/24', 'fd00:244:2::/64'])
  t.deepEqual(ranges('6'), [])
})

test('few changes of routes are told one by one, many as a sum', t => {
  const routes = (count: number, way: Way) => Array.from({length: count}, (_, i) => [`${way} ${i}`, way] as const)
  t.deepEqual(routeNews(new Map(routes(1, 'direct')), new Map(routes(1, 'vxlan'))), ['+ direct 0', '- vxlan 0'])
  t.deepEqual(routeNews(new Map([...routes(2, 'direct'), ...routes(3, 'vxlan')]), new Map()), [
    '5 routes added (2 direct, 3 vxlan)',
  ])
  t.deepEqual(routeNews(new Map(routes(4, 'direct')), new Map(routes(4, 'vxlan'))), [
    '4 routes added (direct)',
    '4 routes removed (vxlan)',
  ])
})

test('changes of the Node objects are told by what changed', t => {
  const views = [[], ['n1'], ['n1', 'n2']].map(tunnels => objects(plan('l3', 2), tunnels))
  const [none, one, both] = views.map(nodes => new Map(nodes.map(node => [node.name, node])))
  const news = (before: typeof none, after: typeof none) =>
    objectNews(before!, after!).map(({node, text}) => `${node}: ${text}`)
  t.deepEqual(news(one, one), [])
  t.deepEqual(news(none, one), ['n1: tunnel published: 192.168.101.1 fd00:101::1'])
  t.deepEqual(news(both, one), ['n2: tunnel no longer published'])
  const [n1, n2] = [...both!.values()]
  t.deepEqual(news(both, new Map([[n1!.name, n1!]])), ['n2: Node object deleted'])
  t.deepEqual(news(new Map([[n1!.name, n1!]]), both), ['n2: Node object created: 10.244.2.0/24 fd00:244:2::/64'])
  const moved = new Map([[n1!.name, {...n1!, podCIDRs: n2!.podCIDRs}]])
  t.deepEqual(news(new Map([[n1!.name, n1!]]), moved), ['n1: Node object changed: 10.244.2.0/24 fd00:244:2::/64'])
})
