import test from 'ava'
import type {NodeName} from '../../src/model/facts.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Route} from '../../src/model/net.ts'
import type {Change, KernelWriter, Refusal} from '../../src/model/plans.ts'
import {formatRoute} from '../../src/netlink/route.ts'
import {hasFailed, type PassInput, type RouteReport, routePass} from '../../src/routes/pass.ts'
import {kernel, network, nodes, route} from './support.ts'

const LINKS = ['2 eth0 192.168.0.11/24']
const PEERS = ['a 10.1.1.0/24 via 192.168.0.11', 'b 10.1.2.0/24 via 192.168.0.12', 'c 10.1.3.0/24 via 192.168.0.13']

/** A writer that carries changes out on a state of its own, and refuses what it is told to. */
function writer(refuse: (change: Change) => Refusal | undefined = () => undefined) {
  const routes = new Map<string, Route>()
  const writes: string[] = []
  const port: KernelWriter = {
    write: async changes =>
      changes.map(change => {
        if (change.object !== 'route') throw new Error(`unexpected: ${change.object}`)
        const {op, item} = change
        writes.push(`${op} ${item.destination}`)
        const refusal = refuse(change)
        if (refusal) return refusal
        if (op === 'delete') routes.delete(`${item.destination}`)
        else routes.set(`${item.destination}`, item)
        return undefined
      }),
    resolve: async () => {},
    settle: async () => undefined,
  }
  const state = (): KernelState => kernel(LINKS, [...routes.values()])
  return {port, routes, writes, state}
}

const passOf = (port: KernelWriter) =>
  routePass({
    network: network(),
    writer: port,
    self: 'a' as NodeName,
    machineId: '',
  })

const input = (state: KernelState, items = nodes(...PEERS), source: PassInput['source'] = 'node'): PassInput => ({
  nodes: {items},
  hostPods: {synced: true, items: new Map()},
  kernel: state,
  source,
  since: performance.now(),
})

const textOf = ({object, op, item}: Change): string => `${op} ${object === 'route' ? item.destination : object}`

const summary = ({written, refused, repaired, routes, source}: RouteReport) =>
  `${written.map(textOf).join(', ')} | refused ${refused.length} | repaired ${repaired} | v4 ${routes[4]} | ${source}`

test('the first pass writes everything, the second nothing', async t => {
  const {port, state, writes} = writer()
  const pass = passOf(port)
  t.is(summary(await pass(input(state()))), 'add 10.1.2.0/24, add 10.1.3.0/24 | refused 0 | repaired 0 | v4 2 | start')
  t.is(summary(await pass(input(state()))), ' | refused 0 | repaired 0 | v4 2 | node')
  t.is(writes.length, 2)
})

test('what somebody else removed, changed or added is a repair; what the cluster changed is not', async t => {
  const {port, routes, state} = writer()
  const pass = passOf(port)
  const facts = nodes(...PEERS)
  await pass(input(state(), facts))
  routes.delete('10.1.2.0/24')
  routes.set('10.1.3.0/24', route('10.1.3.0/24 via 192.168.0.99 dev 2'))
  routes.set('10.9.9.0/24', route('10.9.9.0/24 via 192.168.0.99 dev 2'))
  t.is(
    summary(await pass(input(state(), facts, 'kernel'))),
    'replace 10.1.3.0/24, add 10.1.2.0/24, delete 10.9.9.0/24 | refused 0 | repaired 3 | v4 2 | kernel',
  )
  const moved = nodes(PEERS[0]!, 'b 10.1.2.0/24 via 192.168.0.22')
  t.is(
    summary(await pass(input(state(), moved))),
    'replace 10.1.2.0/24, delete 10.1.3.0/24 | refused 0 | repaired 0 | v4 1 | node',
  )
})

test('leftovers of an earlier process are not repairs', async t => {
  const {port, routes, state} = writer()
  routes.set('10.9.9.0/24', route('10.9.9.0/24 via 192.168.0.99 dev 2'))
  const report = await passOf(port)(input(state()))
  t.is(report.repaired, 0)
  t.false([...routes.keys()].includes('10.9.9.0/24'))
})

test('a refused change fails the pass, the others stand, and the retry writes only what is missing', async t => {
  let refusing = true
  const refusal = {code: 'ENETUNREACH', message: 'route add …: Nexthop has invalid gateway (ENETUNREACH)'}
  const {port, state} = writer(change => (refusing && textOf(change) === 'add 10.1.2.0/24' ? refusal : undefined))
  const pass = passOf(port)
  const first = await pass(input(state()))
  t.true(hasFailed(first))
  t.is(summary(first), 'add 10.1.3.0/24 | refused 1 | repaired 0 | v4 1 | start')
  t.is(formatRoute(first.refused[0]!.change.item as Route), '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048')
  refusing = false
  const retried = {...input(state())}
  await pass(retried)
  t.is(
    summary(await pass(retried))
      .split(' | ')
      .at(-1),
    'retry',
  )
})

test('an outcome that is unknown rejects, and the next pass finds out from the kernel', async t => {
  const {port, state} = writer()
  let broken = true
  const pass = passOf({
    ...port,
    write: changes => (broken ? Promise.reject(new Error('ENOBUFS')) : port.write(changes)),
  })
  await t.throwsAsync(pass(input(state())), {message: 'ENOBUFS'})
  broken = false
  t.is(summary(await pass(input(state()))), 'add 10.1.2.0/24, add 10.1.3.0/24 | refused 0 | repaired 0 | v4 2 | start')
})

test("the underlay's change alone makes a new plan", async t => {
  const {port, state, routes} = writer()
  const pass = passOf(port)
  const view = {items: nodes(...PEERS)}
  const over = (links: string[]) => ({...input(kernel(links, [...routes.values()])), nodes: view})
  t.is((await pass(over(['2 eth0 192.168.0.11/24 down']))).problems.length, 2)
  t.is((await pass({...over(LINKS), kernel: state()})).written.length, 2)
})

/** Node a, whose tunnel has the MAC that is given, and b, whose tunnel has 02:00:00:00:00:01. Nothing else ever changes. */
function tunnelPass(): (mac: string) => Promise<RouteReport> {
  const of = network({backend: 'vxlan'})
  const items = nodes('a 10.1.1.0/24 via 192.168.0.11', 'b 10.1.2.0/24 ends 10.9.9.12@02:00:00:00:00:01')
  const log = {mark: 0, since: () => []}
  const hostPods = {synced: true, items: new Map()}
  const {port} = writer()
  const deaf: KernelWriter = {...port, write: async changes => changes.map(() => undefined)}
  const pass = routePass({network: of, writer: deaf, self: 'a' as NodeName, machineId: ''})
  return mac => {
    const device = `4 ng-vx0 vxlan=1,8472,192.168.0.11 mtu=1450 mac=${mac} group=28263 alias=netgraft:network_default`
    return pass({...input(kernel(['2 eth0 192.168.0.11/24', device])), nodes: {items, log}, hostPods})
  }
}

const messages = ({problems}: RouteReport) => problems.map(({message}) => message)

test('a peer with the MAC of our own tunnel has no way', async t => {
  t.deepEqual(messages(await tunnelPass()('02:00:00:00:00:01')), [
    "node b: pod range 10.1.2.0/24 has no route, since the MAC of its tunnel, 02:00:00:00:00:01, is also that of this node's",
  ])
})

test('it has one as soon as our tunnel has its own MAC again', async t => {
  const pass = tunnelPass()
  await pass('02:00:00:00:00:01')
  t.deepEqual(messages(await pass('02:00:00:00:00:02')), [])
})

test('an own range around the own address costs no way to others, and is told of', async t => {
  const {port, state} = writer()
  const report = await passOf(port)(
    input(state(), nodes('a 10.7.0.0/16 via 192.168.0.11 10.7.0.5', 'b 10.1.2.0/24 via 192.168.0.12')),
  )
  t.is(summary(report), 'add 10.1.2.0/24 | refused 0 | repaired 0 | v4 1 | start')
  t.deepEqual(messages(report), [
    'node a: its pod range 10.7.0.0/16 contains its own address; give its pods a range of their own',
  ])
})
