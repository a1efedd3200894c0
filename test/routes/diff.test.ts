import test from 'ava'
import fc from 'fast-check'
import type {Route} from '../../src/model/net.ts'
import type {RouteChange} from '../../src/model/plans.ts'
import {formatRoute} from '../../src/netlink/route.ts'
import {Diff, diffRoutes} from '../../src/routes/diff.ts'
import {byDestination, route} from './support.ts'

const CASES: {name: string; want: string[]; have: string[]; changes: string[]; conflicts?: string[]}[] = [
  {
    name: 'nothing is there',
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2'],
    have: [],
    changes: ['add 10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048'],
  },
  {
    name: 'everything is there',
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2', 'fd00:2::/64 via fd00::12 dev 2'],
    have: ['10.1.2.0/24 via 192.168.0.12 dev 2', 'fd00:2::/64 via fd00::12 dev 2'],
    changes: [],
  },
  {
    name: 'another gateway: replaced, not removed and added; what is stale goes last',
    want: ['10.1.2.0/24 via 192.168.0.13 dev 2', '10.1.4.0/24 via 192.168.0.14 dev 2'],
    have: ['10.1.3.0/24 via 192.168.0.12 dev 2', '10.1.2.0/24 via 192.168.0.12 dev 2'],
    changes: [
      'replace 10.1.2.0/24 via 192.168.0.13 dev 2 proto 107 metric 2048',
      'add 10.1.4.0/24 via 192.168.0.14 dev 2 proto 107 metric 2048',
      'delete 10.1.3.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
    ],
  },
  {
    name: 'a second route of ours to the same prefix is left over',
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2'],
    have: ['10.1.2.0/24 via 192.168.0.12 dev 2', '10.1.2.0/24 via 192.168.0.9 dev 2 metric 7'],
    changes: ['delete 10.1.2.0/24 via 192.168.0.9 dev 2 proto 107 metric 7'],
  },
  {
    name: "a user's route wins; ours stands behind it",
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2'],
    have: ['10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 0'],
    changes: ['add 10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048'],
    conflicts: ['10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 0'],
  },
  {
    name: "a user's route of our metric stays, and ours cannot be added",
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2'],
    have: ['10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 2048'],
    changes: [],
    conflicts: ['blocked: 10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 2048'],
  },
  {
    name: 'foreign routes elsewhere, and behind ours, are nobody’s business',
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2'],
    have: [
      '10.1.2.0/24 via 192.168.0.12 dev 2',
      '10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 9000',
      '0.0.0.0/0 via 192.168.0.1 dev 2 proto 3 metric 0',
    ],
    changes: [],
  },
  {
    name: "a user's route that stands beside ours at the same metric is told, and both stay",
    want: ['10.1.2.0/24 via 192.168.0.12 dev 2'],
    have: ['10.1.2.0/24 via 192.168.0.12 dev 2', '10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 2048'],
    changes: [],
    conflicts: ['10.1.2.0/24 via 192.168.0.1 dev 2 proto 4 metric 2048'],
  },
  {
    name: 'nothing is wanted: only ours goes',
    want: [],
    have: ['10.1.2.0/24 via 192.168.0.12 dev 2', '10.1.2.0/24 via 192.168.0.12 dev 2 proto 3 metric 0'],
    changes: ['delete 10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048'],
  },
]

for (const {name, want, have, changes, conflicts = []} of CASES) {
  test(name, t => {
    const diff = diffRoutesOf(wanted(want.map(route)), byDestination(have.map(route)), 107)
    t.deepEqual(
      diff.changes.map(change => `${change.op} ${formatRoute(change.item)}`),
      changes,
    )
    t.deepEqual(
      diff.conflicts.map(({foreign, blocks}) => `${blocks ? 'blocked: ' : ''}${formatRoute(foreign)}`),
      conflicts,
    )
  })
}

test('a route for one type of service stands beside ours', t => {
  const ours = route('10.1.2.0/24 via 192.168.0.12 dev 2')
  const other = {...route('10.1.2.0/24 via 192.168.0.1 dev 2 proto 4'), tos: 0x10}
  const diff = diffRoutesOf(wanted([ours]), byDestination([other]), 107)
  t.deepEqual(
    diff.changes.map(({op}) => op),
    ['add'],
  )
  t.deepEqual(diff.conflicts, [])
})

test('an IPv6 route that somebody has merged a path into is left alone, and told', t => {
  const ours = route('fd00:2::/64 via fd00::12 dev 2')
  const merged = {...ours, nextHops: [...ours.nextHops, ...route('fd00:2::/64 via fd00::99 dev 2').nextHops]}
  const diff = diffRoutesOf(wanted([ours]), byDestination([merged]), 107)
  t.deepEqual(diff.changes, [])
  t.deepEqual(
    diff.conflicts.map(({blocks}) => blocks),
    [true],
  )
  t.deepEqual(diffRoutesOf(new Map(), byDestination([merged]), 107).changes, [])
})

const anyRoute = fc
  .record({
    prefix: fc.constantFrom('10.1.1.0/24', '10.1.2.0/24', 'fd00:1::/64'),
    host: fc.integer({min: 1, max: 3}),
    protocol: fc.constantFrom(107, 107, 4),
    metric: fc.constantFrom(0, 2048, 9000),
  })
  .map(({prefix, host, protocol, metric}) =>
    route(
      `${prefix} via ${prefix.startsWith('10') ? '192.168.0.' : 'fd00::'}${host} dev 2 proto ${protocol} metric ${metric}`,
    ),
  )

test('applying the changes leads to what is wanted, and a second diff is empty', t => {
  const wish = fc.array(
    anyRoute.map(each => ({...each, protocol: 107, metric: 2048})),
    {maxLength: 3},
  )
  fc.assert(
    fc.property(wish, fc.array(anyRoute, {maxLength: 8}), (wish, standing) => {
      const want = wanted(wish)
      const before = byDestination(distinct(standing))
      const first = diffRoutesOf(want, before, 107)
      const after = apply(before, first.changes)
      t.deepEqual(diffRoutesOf(want, after, 107).changes, [])
      t.deepEqual(foreign(after), foreign(before))
    }),
  )
})

/** Of all destinations. */
function diffRoutesOf(want: ReadonlyMap<string, Route>, have: ReadonlyMap<string, readonly Route[]>, protocol: number) {
  const diff = new Diff()
  for (const destination of new Set([...want.keys(), ...have.keys()]))
    diffRoutes(destination, want.get(destination), have.get(destination) ?? [], protocol, diff)
  return {changes: diff.changes as RouteChange[], conflicts: [...diff.conflicts.values()].flat()}
}

const wanted = (routes: readonly Route[]) => new Map(routes.map(each => [`${each.destination}`, each]))

/** The kernel has one route per destination and metric. */
const distinct = (routes: readonly Route[]) => [
  ...new Map(routes.map(each => [`${each.destination} ${each.metric}`, each])).values(),
]

const foreign = (routes: ReadonlyMap<string, readonly Route[]>) =>
  [...routes.values()]
    .flat()
    .filter(each => each.protocol !== 107)
    .map(formatRoute)
    .sort()

function apply(have: ReadonlyMap<string, readonly Route[]>, changes: readonly RouteChange[]): Map<string, Route[]> {
  let routes = [...have.values()].flat()
  for (const {op, item: each} of changes) {
    const same = (other: Route) => `${other.destination}` === `${each.destination}` && other.metric === each.metric
    if (op === 'add' && routes.some(same)) throw new Error('EEXIST')
    routes = routes.filter(other => !same(other))
    if (op !== 'delete') routes.push(each)
  }
  return byDestination(routes)
}
