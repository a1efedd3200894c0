import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {text} from 'node:stream/consumers'
import test from 'ava'
import fc from 'fast-check'
import type {Definition} from '../../src/observe/definition.ts'
import {createMetrics, type Metrics, TABLE} from '../../src/observe/metrics.ts'

/** The samples of one metric, without comments and empty buckets. */
async function samples(metrics: Metrics, name: string): Promise<string> {
  const {body} = await metrics.expose()
  return body
    .split('\n')
    .filter(line => line.startsWith(name) && !/_bucket.* 0$/.test(line))
    .map(line => line.slice(name.length))
    .join('\n')
}

const create = () => createMetrics({version: '1.2.3'})

test('a histogram', async t => {
  const metrics = create()
  metrics.passDuration.observe({domain: 'routes'}, 0.004)
  metrics.passDuration.observe({domain: 'routes'}, 7)
  t.is(
    await samples(metrics, 'netgraft_pass_duration_seconds'),
    [
      ...[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5].map(le => `_bucket{le="${le}",domain="routes"} 1`),
      '_bucket{le="10",domain="routes"} 2',
      '_bucket{le="+Inf",domain="routes"} 2',
      '_sum{domain="routes"} 7.004',
      '_count{domain="routes"} 2',
    ].join('\n'),
  )
})

test('a counter, with and without labels', async t => {
  const metrics = create()
  metrics.routeChanges.inc({network: 'default', op: 'add'}, 3)
  metrics.routeChanges.inc({network: 'default', op: 'add'})
  metrics.netlinkEnobufs.inc()
  metrics.netlinkEnobufs.inc(2)
  t.is(await samples(metrics, 'netgraft_route_changes_total'), '{network="default",op="add"} 4')
  t.is(await samples(metrics, 'netgraft_netlink_enobufs_total'), ' 3')
})

test('a gauge, whose series goes when it is removed', async t => {
  const metrics = create()
  metrics.routes.set({network: 'a', family: 4}, 5)
  metrics.routes.set({network: 'a', family: 6}, 2)
  metrics.routes.set({network: 'a', family: 4}, 3)
  t.is(await samples(metrics, 'netgraft_routes'), '{network="a",family="4"} 3\n{network="a",family="6"} 2')
  metrics.routes.remove({network: 'a', family: 4})
  t.is(await samples(metrics, 'netgraft_routes'), '{network="a",family="6"} 2')
})

test('series that are known beforehand begin at zero', async t => {
  t.is(
    await samples(create(), 'netgraft_passes_total'),
    '{domain="routes",result="ok"} 0\n{domain="routes",result="failed"} 0',
  )
  t.is(await samples(create(), 'netgraft_netlink_enobufs_total'), ' 0')
})

test('the versions are told', async t =>
  t.is(await samples(create(), 'netgraft_build_info'), `{version="1.2.3",node_version="${process.version}"} 1`))

test('a label with more values than it may have counts the rest as other', async t => {
  const metrics = create()
  for (let i = 0; i < 10_000; i++) metrics.routeErrors.inc({network: 'default', code: `E${i}`})
  metrics.routeErrors.inc({network: 'default', code: 'E3'})
  const lines = (await samples(metrics, 'netgraft_route_errors_total')).split('\n')
  t.is(lines.length, 33)
  t.true(lines.includes('{network="default",code="E3"} 2'))
  t.is(lines.at(-1), '{network="default",code="other"} 9968')
})

test('a value that is not in a closed list, and one that is long', async t => {
  const metrics = create()
  metrics.routeChanges.inc({network: 'n'.repeat(1000), op: 'oops' as never})
  t.is(await samples(metrics, 'netgraft_route_changes_total'), `{network="${'n'.repeat(64)}",op="other"} 1`)
})

test('no value throws, and none that is no number gets in', async t => {
  const metrics = create()
  const before = (await metrics.expose()).body
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -Infinity]) {
    metrics.netlinkEnobufs.inc(value)
    metrics.passDuration.observe({domain: 'routes'}, value)
    metrics.peers.set({network: 'a'}, value)
  }
  metrics.netlinkEnobufs.inc(-1)
  metrics.peers.remove({network: 'never set'})
  t.is((await metrics.expose()).body, before)
})

test('labels of any text make one line each', async t => {
  const metrics = create()
  fc.assert(fc.property(fc.string({unit: 'binary'}), network => metrics.peers.set({network}, 1)))
  const {body} = await metrics.expose()
  const lines = body.split('\n').filter(line => line.startsWith('netgraft_peers{'))
  t.is(lines.length, 65)
  for (const line of lines) t.regex(line, /^netgraft_peers\{network="([^"\\\n]|\\.)*"\} 1$/)
})

test('two sets of metrics know nothing of each other', async t => {
  const [a, b] = [create(), create()]
  a.netlinkEnobufs.inc()
  t.is(await samples(b, 'netgraft_netlink_enobufs_total'), ' 0')
})

test('the process tells of itself when asked to', async t => {
  t.is(await samples(create(), 'process_resident_memory_bytes'), '')
  const {body} = await createMetrics({version: '1', process: true}).expose()
  t.regex(body, /^process_resident_memory_bytes \d+$/m)
  t.regex(body, /^nodejs_eventloop_lag_p99_seconds /m)
})

test('the table keeps to the naming rules', t => {
  const all = Object.values<Definition>(TABLE)
  t.is(new Set(all.map(({name}) => name)).size, all.length)
  for (const {name, kind, help, labels, buckets} of all) {
    t.regex(name, /^netgraft_[a-z_]+[a-z]$/)
    t.is(name.endsWith('_total'), kind === 'counter', name)
    t.is(/(?<!_timestamp)_seconds$/.test(name), kind === 'histogram', name)
    t.regex(help, /^[A-Z].*\.$/, name)
    t.false('le' in labels)
    t.deepEqual(
      buckets,
      buckets?.toSorted((a, b) => a - b),
    )
  }
})

test('promtool has nothing against names, units and help texts', async t => {
  const {body} = await createMetrics({version: '1', process: true}).expose()
  const promtool = spawn('promtool', ['check', 'metrics'], {stdio: ['pipe', 'pipe', 'pipe']})
  promtool.stdin.end(body)
  const [said, complaints, [code]] = await Promise.all([
    text(promtool.stdout),
    text(promtool.stderr),
    once(promtool, 'close'),
  ])
  t.deepEqual([said, complaints, code], ['', '', 0])
})
