/** What the admin API says of routes: what is wanted, what stands, what would be written. Pure. */
import test from 'ava'
import {planRoutes} from '../../src/agent/admin-plan.ts'
import {listRoutes, type RoutesAsked} from '../../src/agent/admin-routes.ts'
import type {NodeName} from '../../src/model/facts.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Change, Refusal} from '../../src/model/plans.ts'
import type {RouteNetwork} from '../../src/routes/network.ts'
import {type NodesView, type PassInput, routePass} from '../../src/routes/pass.ts'
import {kernel, network, nodes, route} from '../routes/support.ts'

const LINKS = ['2 eth0 192.168.0.11/24']
const SELF = 'a 10.1.1.0/24 via 192.168.0.11'
const B = 'b 10.1.2.0/24 via 192.168.0.12'

interface Case {
  readonly view: NodesView
  readonly state: KernelState
  readonly refuse?: Refusal
  readonly changed?: Partial<RouteNetwork>
}

/** After a pass that has written nothing. */
async function after({view, state, refuse, changed}: Case): Promise<RoutesAsked> {
  const written: Change[] = []
  const pass = routePass({
    network: network(changed),
    self: 'a' as NodeName,
    machineId: '',
    writer: {
      write: async changes => {
        written.push(...changes)
        return changes.map(() => refuse)
      },
      resolve: async () => {},
      settle: async () => undefined,
    },
  })
  const input: PassInput = {
    nodes: view,
    hostPods: {synced: true, items: new Map()},
    kernel: state,
    source: 'node',
    since: 0,
  }
  const report = await pass(input)
  return {basis: report.basis!, report, kernel: state}
}

function end<T>(work: Generator<void, T, undefined>): T {
  for (;;) {
    const {done, value} = work.next()
    if (done) return value
  }
}

const rows = (asked: RoutesAsked): string[] =>
  end(listRoutes(asked)).routes.map(({node, range, state, wanted, standing, reason}) =>
    [node, range ?? '-', state, wanted, standing && `now ${standing}`, reason].filter(Boolean).join(' | '),
  )

const planned = (asked: RoutesAsked): string[] =>
  end(planRoutes(asked)).changes.map(({change, why}) => `${change}: ${why}`)

test('what is to be written, and why', async t => {
  const state = kernel(LINKS, [
    route('10.1.3.0/24 via 192.168.0.99 dev 2'),
    route('10.9.9.0/24 via 192.168.0.99 dev 2'),
  ])
  const asked = await after({view: {items: nodes(SELF, B, 'c 10.1.3.0/24 via 192.168.0.13')}, state})
  t.deepEqual(planned(asked), [
    'route replace 10.1.3.0/24 via 192.168.0.13 dev eth0: node c is to be reached so; now it is via 192.168.0.99 dev eth0',
    'route add 10.1.2.0/24 via 192.168.0.12 dev eth0: node b is to be reached so',
    'route delete 10.9.9.0/24 via 192.168.0.99 dev eth0: no node has that range',
  ])
  t.deepEqual(rows(asked).slice(1), [
    'b | 10.1.2.0/24 | missing | via 192.168.0.12 dev eth0 | it is about to be written',
    'c | 10.1.3.0/24 | missing | via 192.168.0.13 dev eth0 | now via 192.168.0.99 dev eth0 | it is about to be written',
  ])
})

test('what the kernel has refused, and what has somebody else in its place', async t => {
  const refuse = {code: 'ENOSPC', message: 'route add 10.1.2.0/24: no space'}
  const refused = await after({view: {items: nodes(SELF, B)}, state: kernel(LINKS), refuse})
  t.deepEqual(planned(refused), [
    'route add 10.1.2.0/24 via 192.168.0.12 dev eth0: node b is to be reached so; refused last: route add 10.1.2.0/24: no space',
  ])
  t.is(rows(refused)[1], 'b | 10.1.2.0/24 | missing | via 192.168.0.12 dev eth0 | route add 10.1.2.0/24: no space')

  const foreign = kernel(LINKS, [{...route('10.1.2.0/24 via 192.168.0.77 dev 2'), protocol: 4}])
  const blocked = await after({view: {items: nodes(SELF, B)}, state: foreign})
  t.is(
    rows(blocked)[1],
    'b | 10.1.2.0/24 | missing | via 192.168.0.12 dev eth0 | a route that is not ours has its place: via 192.168.0.77 dev eth0 proto 4 metric 2048',
  )
  const plan = end(planRoutes(blocked))
  t.deepEqual(plan.changes, [])
  t.deepEqual(plan.conflicts, [
    '10.1.2.0/24: a route that is not ours leads via 192.168.0.77 dev eth0; ours cannot stand beside it',
  ])
})

test('while nodes are those of a file, nothing is taken away, and that is said', async t => {
  const state = kernel(LINKS, [route('10.9.9.0/24 via 192.168.0.99 dev 2')])
  const asked = await after({view: {items: nodes(SELF, B), stale: {savedAt: 0}}, state})
  const plan = end(planRoutes(asked))
  t.deepEqual(
    plan.changes.map(({change}) => change),
    ['route add 10.1.2.0/24 via 192.168.0.12 dev eth0'],
  )
  t.regex(plan.heldBack!, /^the API server has not answered yet, .*: nothing is taken away$/)
})

test('a tunnel that is not there yet', async t => {
  const view = {items: nodes(SELF, 'b 10.1.2.0/24 via 192.168.0.12 ends 192.168.0.12')}
  const asked = await after({view, state: kernel(LINKS), changed: {backend: 'vxlan'}})
  const [first] = planned(asked)
  t.regex(first!, /^link add ng-vx0 .*: the network's tunnel is not there$/)
  t.regex(rows(asked)[1]!, /^b \| 10\.1\.2\.0\/24 \| missing \| node b: pod range 10\.1\.2\.0\/24 has no route, since/)
})

test('ranges that cannot be served, and nodes without one', async t => {
  const view = {
    items: nodes(SELF, B, 'c 10.1.2.0/24 via 192.168.0.13', 'd 127.0.0.0/8 via 192.168.0.14', 'e via 192.168.0.15'),
  }
  const asked = await after({view, state: kernel(LINKS, [route('10.1.2.0/24 via 192.168.0.13 dev 2')])})
  t.deepEqual(rows(asked), [
    'a | 10.1.1.0/24 | none | pods of this node are on its bridge, whose own route leads there',
    'b | 10.1.2.0/24 | none | node c claims it, too, and has it',
    'c | 10.1.2.0/24 | stands | via 192.168.0.13 dev eth0',
    'd | 127.0.0.0/8 | none | node d: pod range 127.0.0.0/8 lies inside 127.0.0.0/8, which is not for pods; it gets no route',
    'e | - | none | the node has no pod range (spec.podCIDRs)',
  ])
  t.deepEqual(planned(asked), [])
})

test('ways of the same device that is down are said to be', async t => {
  const dead = {...route('10.1.2.0/24 via 192.168.0.12 dev 2'), dead: true as const}
  const asked = await after({view: {items: nodes(SELF, B)}, state: kernel(LINKS, [dead])})
  t.is(rows(asked)[1], 'b | 10.1.2.0/24 | stands | via 192.168.0.12 dev eth0 | its device is down, or has no carrier')
})
