/** The monitor and the mirror on the real kernel, also when it says more than can be heard. Needs root. */
import {spawn} from 'node:child_process'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {setTimeout as sleep, setImmediate as tick} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {Cidr, Ip} from '../../src/model/ip.ts'
import type {KernelChange, KernelEvent} from '../../src/model/kernel.ts'
import type {IfIndex, Route} from '../../src/model/net.ts'
import {type Monitor, type MonitorOptions, monitor} from '../../src/netlink/monitor.ts'
import {addRoute, deleteRoute, formatRoute, replaceRoute} from '../../src/netlink/route.ts'
import {ipBatch, liveMirror} from './live-mirror.ts'
import {type Namespace, namespaces} from './namespace.ts'

/** A namespace with a pair v0–v1 that is up, and 10.0.0.1/16 on v0. */
async function connected(t: ExecutionContext): Promise<Namespace> {
  const [at] = await namespaces(t, 1)
  at.exec('sysctl', '-qw', 'net.ipv6.conf.default.addr_gen_mode=1')
  at.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
  for (const dev of ['v0', 'v1']) at.ip('link', 'set', dev, 'up')
  at.ip('addr', 'add', '10.0.0.1/16', 'dev', 'v0')
  // Until the kernel has told of the carriers, which it does a little later.
  while (at.json('route', 'show').some(route => route.flags.length > 0)) await sleep(10)
  return at
}

/** One that listens, with all that it hears. Ended with the test. */
async function listening(t: ExecutionContext, options: MonitorOptions) {
  const heard: KernelEvent[] = []
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  const it: Monitor = monitor(options)
  const subscription = it.events$.subscribe({
    next: event => {
      heard.push(event)
      if (event.kind === 'listening') resolve()
    },
    error: reject,
  })
  t.teardown(() => subscription.unsubscribe())
  await promise
  const changes = () => heard.flatMap(event => (event.kind === 'changes' ? event.changes : []))
  return {monitor: it, changes, forget: () => heard.splice(0)}
}

const route = (n: number, gateway: number, dev: IfIndex): Route => ({
  destination: new Cidr(new Ip(Uint8Array.of(11, (n >> 8) & 255, n & 255, 0)), 24),
  type: 'unicast',
  table: 254,
  protocol: 107,
  metric: 2048,
  scope: 'global',
  nextHops: [{gateway: new Ip(Uint8Array.of(10, 0, 0, gateway)), dev}],
})

function words(change: KernelChange): string {
  const sign = change.gone ? '-' : '+'
  switch (change.object) {
    case 'link':
      return `${sign} link ${change.item.name} ${change.item.up ? 'up' : 'down'}`
    case 'port':
      return `${sign} port ${change.item.index} hairpin ${change.item.hairpin}`
    case 'address':
      return `${sign} addr ${change.item.ip}/${change.item.length}`
    case 'nexthop':
      return `${sign} nexthop`
    case 'route':
      return `${sign} route ${formatRoute(change.item)}`
    case 'neighbour':
      return `${sign} neigh ${change.item.ip} ${change.item.mac}`
    case 'fdb':
      return `${sign} fdb ${change.item.mac}`
    case 'rule':
      return `${sign} rule ${change.item.priority} table ${change.item.table}`
  }
}

test('a port whose hairpin mode is changed is told of by its bridge', async t => {
  const at = await connected(t)
  const v0 = at.index('v0')
  at.ip('link', 'add', 'name', 'b0', 'type', 'bridge')
  at.ip('link', 'set', 'v0', 'master', 'b0')
  const heard = await listening(t, {netns: at.path, groups: ['link']})
  at.bridge('link', 'set', 'dev', 'v0', 'hairpin', 'on')
  at.bridge('link', 'set', 'dev', 'v0', 'hairpin', 'off')
  await heard.monitor.flush()
  t.deepEqual(
    heard.changes().flatMap(change => (change.object === 'port' ? words(change) : [])),
    [`+ port ${v0} hairpin true`, `+ port ${v0} hairpin false`],
  )
})

test('every kind of change is told, decoded', async t => {
  const at = await connected(t)
  const v0 = at.index('v0')
  const heard = await listening(t, {
    netns: at.path,
    groups: ['link', 'address', 'route', 'neighbour', 'rule', 'nexthop'],
  })
  const cases: readonly [commands: string[], told: string[]][] = [
    [['link add name b0 type bridge'], ['+ link b0 down']],
    [['link del b0'], ['- link b0 down']],
    [['addr add 10.7.0.1/32 dev v0'], ['+ addr 10.7.0.1/32']],
    [['addr del 10.7.0.1/32 dev v0'], ['- addr 10.7.0.1/32']],
    [['addr add fd00::1/64 dev v0 nodad'], ['+ addr fd00::1/64', `+ route fd00::/64 dev ${v0} proto 2 metric 256`]],
    [['route add 10.8.0.0/24 via 10.0.0.9'], [`+ route 10.8.0.0/24 via 10.0.0.9 dev ${v0} proto 3 metric 0`]],
    [['route del 10.8.0.0/24'], [`- route 10.8.0.0/24 via 10.0.0.9 dev ${v0} proto 3 metric 0`]],
    [['route add fd08::/64 via fd00::9'], [`+ route fd08::/64 via fd00::9 dev ${v0} proto 3 metric 1024`]],
    [['route add blackhole 10.9.0.0/24'], ['+ route blackhole 10.9.0.0/24 proto 3 metric 0']],
    [['neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0'], ['+ neigh 10.0.0.9 02:00:00:00:00:09']],
    [['neigh add fd00::9 lladdr 02:00:00:00:00:09 dev v0'], ['+ neigh fd00::9 02:00:00:00:00:09']],
    [['nexthop add id 7 via 10.0.0.9 dev v0'], ['+ nexthop']],
    [['nexthop del id 7'], ['- nexthop']],
    [['rule add pref 77 to 10.8.0.0/16 lookup 100'], ['+ rule 77 table 100']],
    [['rule del pref 77'], ['- rule 77 table 100']],
  ]
  for (const [commands, told] of cases) {
    await heard.monitor.flush()
    heard.forget()
    await ipBatch(at, commands)
    // The kernel tells of an IPv6 address from a worker of its own, after the command has ended.
    const late = performance.now() + 5000
    let untold: string[]
    do {
      await heard.monitor.flush()
      const all = heard.changes().map(words)
      untold = told.filter(each => !all.includes(each))
    } while (untold.length > 0 && performance.now() < late)
    t.deepEqual(untold, [], `${commands}`)
  }
  at.ip('-6', 'rule', 'add', 'pref', '78', 'to', 'fd08::/16', 'lookup', '100')
  await heard.monitor.flush()
  t.true(heard.changes().map(words).includes('+ rule 78 table 100'))
  at.ip('link', 'add', 'x0', 'type', 'vxlan', 'id', '7', 'dstport', '4789', 'dev', 'v0')
  heard.forget()
  at.bridge('fdb', 'append', '02:00:00:00:00:08', 'dev', 'x0', 'dst', '10.0.0.8')
  await heard.monitor.flush()
  const fdb = heard.changes().find(change => change.object === 'fdb')
  t.is(fdb && words(fdb), '+ fdb 02:00:00:00:00:08')
  t.is(`${fdb?.item.remote}`, '10.0.0.8')
})

test('only the groups that were asked for are heard', async t => {
  const at = await connected(t)
  const heard = await listening(t, {netns: at.path, groups: ['rule']})
  await ipBatch(at, [
    'route add 10.8.0.0/24 via 10.0.0.9',
    'link add name b0 type bridge',
    'rule add pref 77 lookup 100',
  ])
  await heard.monitor.flush()
  t.deepEqual(heard.changes().map(words), ['+ rule 77 table 100'])
})

test('a namespace that is not there is an error of the events', async t => {
  const {events$} = monitor({netns: '/run/netns/ng-none', groups: ['link']})
  const error = await new Promise<NodeJS.ErrnoException>(resolve => events$.subscribe({error: resolve}))
  t.is(error.code, 'ENOENT')
})

test('what we caused ourselves is marked, and so is what replaces', async t => {
  const at = await connected(t)
  const kernel = await at.kernel()
  const heard = await listening(t, {netns: at.path, groups: ['route'], ownPort: () => kernel.port})
  const dev = at.index('v0')
  await kernel.do(addRoute(route(1, 9, dev)))
  at.ip('route', 'del', '11.0.1.0/24', 'proto', '107', 'metric', '2048')
  at.ip('route', 'add', '11.0.1.0/24', 'via', '10.0.0.9', 'proto', '107', 'metric', '2048')
  await kernel.do(replaceRoute(route(1, 8, dev)))
  at.ip('route', 'replace', '11.0.1.0/24', 'via', '10.0.0.9', 'proto', '107', 'metric', '2048')
  await heard.monitor.flush()
  const told = heard.changes().filter(change => change.object === 'route' && change.item.table === 254)
  t.deepEqual(
    told.map(({gone, own, replaces}) => `${gone ? '-' : '+'}${own ? ' own' : ''}${replaces ? ' replaces' : ''}`),
    ['+ own', '-', '+', '+ own replaces', '+ replaces'],
  )
})

test('after a flush everything that was written before it has been told: 1,000 times', async t => {
  const at = await connected(t)
  const kernel = await at.kernel()
  const heard = await listening(t, {netns: at.path, groups: ['route'], ownPort: () => kernel.port})
  const dev = at.index('v0')
  const writes = fc.sample(fc.record({n: fc.nat(20), gateway: fc.integer({min: 2, max: 9}), batch: fc.nat(3)}), {
    numRuns: 1000,
    seed: 1,
  })
  const standing = new Map<number, Route>()
  let missed = 0
  for (const {n, gateway, batch} of writes) {
    heard.forget()
    const wanted: string[] = []
    const requests = Array.from({length: batch + 1}, (_, i) => {
      const key = n + i
      const there = standing.get(key)
      const next = route(key, gateway, dev)
      if (there) standing.delete(key)
      else standing.set(key, next)
      wanted.push(`${there ? '-' : '+'} route ${formatRoute(there ?? next)}`)
      return there ? deleteRoute(there) : addRoute(next)
    })
    await kernel.batch(requests)
    await heard.monitor.flush()
    const told = heard.changes().map(words).join('\n')
    if (told !== wanted.join('\n') || heard.changes().some(change => !change.own)) missed++
  }
  t.is(missed, 0)
})

test('a change inside another namespace is heard where that has an id', async t => {
  const [at, pod, stranger] = await namespaces(t, 3)
  at.ip('netns', 'set', pod.name, '42')
  const heard = await listening(t, {netns: at.path, groups: ['link', 'route'], allNsids: true})
  for (const each of [pod, stranger]) each.ip('link', 'add', 'name', 'b0', 'type', 'bridge')
  at.ip('link', 'add', 'name', 'b1', 'type', 'bridge')
  await heard.monitor.flush()
  const told = () =>
    heard
      .changes()
      .filter(change => change.object === 'link')
      .map(change => `${words(change)} in ${change.nsid ?? 'its own'}`)
  t.deepEqual([...new Set(told())], ['+ link b0 down in 42', '+ link b1 down in its own'])
  heard.forget()
  pod.ip('link', 'del', 'b0')
  await heard.monitor.flush()
  t.deepEqual(told(), ['- link b0 down in 42'])
})

test.serial('a deaf moment is told, and the mirror reads everything again', async t => {
  const at = await connected(t)
  const live = await liveMirror(t, at, {receiveBuffer: 4096})
  const done = ipBatch(
    at,
    Array.from({length: 3000}, (_, n) => `route add 11.${n >> 8}.${n & 255}.0/24 via 10.0.0.9`),
  )
  await busyUntil(done)
  await live.agrees()
  t.true(live.resyncs.includes('lost'))
  t.is([...live.state().routes.keys()].filter(destination => destination.startsWith('11.')).length, 3000)
  t.deepEqual(live.errors, [])
})

test.serial('a flood of 100,000 changes at a busy process is survived, in bounded memory', async t => {
  const at = await connected(t)
  const standing = at.json('-4', 'route', 'show').length + at.json('-6', 'route', 'show').length
  const flags = ['--max-semi-space-size=2', '--max-old-space-size=128']
  const program = join(import.meta.dirname, 'child', 'flood.ts')
  const child = spawn(process.execPath, [...flags, program, at.path, `${1 << 20}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
  t.is((await lines.next()).value, 'ready')
  const commands: string[] = []
  // Ten rounds of adding and taking away, and then half of them anew.
  for (let change = 0; change < 100_000; change++) {
    const n = change % 5000
    const verb = Math.floor(change / 5000) % 2 === 0 ? 'add' : 'del'
    commands.push(`route ${verb} 11.${n >> 8}.${n & 255}.0/24 via 10.0.0.9`)
  }
  for (let n = 0; n < 5000; n += 2) commands.push(`route add 11.${n >> 8}.${n & 255}.0/24 via 10.0.0.8`)
  await ipBatch(at, commands)
  child.stdin.end()
  const {grown, ...result} = JSON.parse((await lines.next()).value!)
  t.deepEqual(result, {agrees: true, lost: true, routes: standing + 2500})
  t.true(grown < 150, `the process grew by ${grown} MB`)
})

/** Keeps the JavaScript thread busy, but for one turn of the event loop every 20 milliseconds. */
async function busyUntil(done: Promise<void>): Promise<void> {
  let ended = false
  const ending = done.finally(() => {
    ended = true
  })
  while (!ended) {
    const until = performance.now() + 20
    while (performance.now() < until);
    await tick()
  }
  await ending
}
