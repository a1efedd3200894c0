/** Tunnels while everything happens at once: kills, restarts under traffic, floods. The real agent; needs root. */
import {spawn} from 'node:child_process'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {ipBatch} from '../netlink/live-mirror.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'
import {built, OWN_TUNNELS, OWN_VTEP, run, SELF, startNode, type TestNode, VTEP, VXLAN} from './support/node.ts'

/** What is random follows from it, and is told with the test. */
const SEED = Number(process.env.SEED) || Date.now() % 100_000

const hex = (n: number) => n.toString(16)
const byte = (n: number) => hex(n & 255).padStart(2, '0')

/** Node n behind a router, with the MAC and the address of another number. */
const ends = (mac: number, address: number) =>
  `10.9.${address >> 8}.${address & 255}/02:00:00:04:${byte(mac >> 8)}:${byte(mac)} fd00:9::${hex(address)}/02:00:00:06:${byte(mac >> 8)}:${byte(mac)}`
const peer = (n: number, mac = n, address = n) =>
  `n${n} 10.${65 + (n >> 8)}.${n & 255}.0/24 fd00:65:${hex(n)}::/64 via 10.9.${address >> 8}.${address & 255} fd00:9::${hex(address)} ends ${ends(mac, address)}`

/** What leads to it. */
function toPeer(n: number, mac = n, address = n): string[] {
  const end = `10.9.${address >> 8}.${address & 255}`
  const tail = `${byte(mac >> 8)}:${byte(mac)}`
  const gateway = `fe80::ff:fe06:${hex(mac)}`
  return [
    `route 10.${65 + (n >> 8)}.${n & 255}.0/24 via ${end} dev ng-vx0 metric 2048 onlink`,
    `neigh ${end} dev ng-vx0 lladdr 02:00:00:04:${tail}`,
    `fdb 02:00:00:04:${tail} dev ng-vx0 dst ${end}`,
    `route fd00:65:${hex(n)}::/64 via ${gateway} dev ng-vx0-6 metric 2048`,
    `neigh ${gateway} dev ng-vx0-6 lladdr 02:00:00:06:${tail}`,
    `fdb 02:00:00:06:${tail} dev ng-vx0-6 dst fd00:9::${hex(address)}`,
  ]
}

test.before(built)

test('whenever it is killed in a pass over 1,000 peers, the next one finishes the work', async t => {
  const numbers = Array.from({length: 1000}, (_, i) => i + 2)
  const node = await startNode(t, {nodes: [SELF, ...numbers.map(n => peer(n))], start: false, config: VXLAN})
  const lives = fc.sample(fc.noBias(fc.nat(250)), {numRuns: 10, seed: SEED})
  t.log(`seed ${SEED}: killed after ${lives.join(', ')} ms`)
  let unfinished = 0
  for (const [round, life] of lives.entries()) {
    // Of every peer everything is another, now and then only a part of it.
    const [mac, address] = [round % 3 === 1 ? 0 : 2000 * (round % 2), round % 3 === 2 ? 0 : 1000 * (round % 4)]
    // In a pass that follows them, or in the first one of its life.
    const runs = round % 2 === 1
    if (!runs) t.is(round === 0 ? 0 : await node.agent.stop(), 0)
    for (const n of numbers) node.put(peer(n, n + mac, n + address))
    const want = [...OWN_TUNNELS, ...numbers.flatMap(n => toPeer(n, n + mac, n + address))].sort().join('\n')
    const have = async () => (await node.tunnels()).join('\n')
    if (round % 4 === 1) await node.ip('link del ng-vx0')
    if (round % 4 === 2) await node.ip('link set ng-vx0-6 down')
    if (round % 4 === 3) await node.ip('link set ng-vx0 alias ')
    if (!runs) {
      node.agent.start()
      await node.says('"listed"')
    }
    await sleep(life)
    await node.agent.kill()
    if ((await have()) !== want) unfinished++
    node.agent.start()
    await node.until(async () => (await have()) === want, `the state of round ${round}`, 200)
    await node.until(() => node.agent.ready())
    t.deepEqual(
      node.agent.logs.filter(line => line.level !== 'info' && line.level !== 'debug'),
      [],
    )
  }
  t.log(`${unfinished} of ${lives.length} were killed before they had finished`)
})

/** Of a node: which range it has, of which MAC its ends are, where it is, and whether it publishes its ends. */
interface Facts {
  readonly range: number
  readonly mac: number
  readonly where: 'near' | number
  readonly has: boolean
}

const NUMBERS = Array.from({length: 12}, (_, i) => i + 2)

/** As of each number, some are not there; no two have a range, a MAC or an address in common. */
const cluster: fc.Arbitrary<ReadonlyMap<number, Facts>> = fc
  .record({
    shift: fc.constantFrom(0, 0, 1, 5),
    facts: fc.array(
      fc.option(
        fc.record({
          mac: fc.nat(2),
          where: fc.constantFrom<Facts['where']>('near', 0, 1),
          has: fc.constantFrom(true, true, true, false),
        }),
        {freq: 4},
      ),
      {minLength: NUMBERS.length, maxLength: NUMBERS.length},
    ),
  })
  .map(({shift, facts}) => {
    const of = (n: number, i: number): [number, Facts][] => {
      const range = NUMBERS[(i + shift) % NUMBERS.length]!
      return facts[i] ? [[n, {...facts[i], range, mac: n + 1000 * facts[i].mac}]] : []
    }
    return new Map(NUMBERS.flatMap(of))
  })

function objectOf(n: number, {range, mac, where, has}: Facts): string {
  const address = where === 'near' ? n : n + 1000 * where
  const [before] = peer(range, mac, address).replace(`n${range} `, `n${n} `).split(' ends ')
  const near = `n${n} ${before!.split(' ').slice(1, 3).join(' ')} via 192.168.9.${n} fd00:100::9:${n}`
  return `${where === 'near' ? near : before}${has ? ` ends ${ends(mac, address)}` : ''}`
}

function wayTo(n: number, {range, mac, where, has}: Facts): readonly string[] {
  if (where !== 'near') return has ? toPeer(range, mac, n + 1000 * where) : []
  return [
    `route 10.65.${range}.0/24 via 192.168.9.${n} dev eth0 metric 2048`,
    `route fd00:65:${hex(range)}::/64 via fd00:100::9:${n} dev eth0 metric 2048`,
  ]
}

/** What is done by hand, as `ip` takes it, and `bridge`. */
const hand: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    'link del ng-vx0',
    'link del ng-vx0-6',
    'link set ng-vx0 down',
    'link set ng-vx0-6 mtu 1200',
    'link set ng-vx0 address 02:11:22:33:44:55',
    'addr flush dev ng-vx0',
    'neigh flush dev ng-vx0 nud permanent',
    'route flush proto 107',
    '-6 route flush proto 107',
    'link set eth0 mtu 1400',
    'link set eth0 mtu 1500',
  ),
  fc
    .constantFrom(...NUMBERS)
    .chain(n =>
      fc.constantFrom(
        `route del 10.65.${n}.0/24`,
        `-6 route del fd00:65:${hex(n)}::/64`,
        `neigh replace 10.9.0.${n} dev ng-vx0 lladdr 02:00:00:00:00:99 nud permanent`,
        `fdb del 02:00:00:04:00:${byte(n)} dev ng-vx0`,
        `fdb replace 02:00:00:04:00:${byte(n)} dev ng-vx0 dst 10.9.9.9 self permanent`,
      ),
    ),
)

test('whatever nodes, hands and the API server do, in the end all is as it should be', async t => {
  const node = await startNode(t, {nodes: [SELF], config: {networks: [{backend: 'auto'}]}})
  const rounds = fc.sample(fc.tuple(cluster, fc.array(hand, {maxLength: 4}), fc.nat(30)), {numRuns: 40, seed: SEED})
  t.log(`seed ${SEED}`)
  for (const [round, [nodes, hands, pause]] of rounds.entries()) {
    if (round % 10 === 1) node.api.faults.cutWatches()
    if (round % 10 === 4) node.api.faults.gone(1)
    for (const n of NUMBERS) {
      const [name, facts] = [`n${n}`, nodes.get(n)]
      if (facts) node.put(objectOf(n, facts))
      else if (node.api.get({resource: 'nodes', name})) node.remove(name)
      if (facts && !facts.has) node.api.patch({resource: 'nodes', name}, {metadata: {annotations: {[VTEP]: null}}})
    }
    if (round % 10 === 6) node.api.faults.compact({cutWatches: true})
    for (const command of hands) {
      await sleep(pause)
      await (command.startsWith('fdb') ? node.bridge(command) : node.ip(command)).catch(() => '')
    }
    if (round % 10 === 8) await node.agent.kill().then(() => node.agent.start())
    await node.ip('link set eth0 mtu 1500')
    await node.holds(OWN_TUNNELS, ...[...nodes].map(([n, facts]) => wayTo(n, facts)))
  }
  await node.until(() => node.published() === OWN_VTEP)
})

test('changes faster than they can be heard: everything is read again, and put right', async t => {
  const node = await startNode(t, {nodes: [SELF, ...[2, 3, 4].map(n => peer(n))], config: VXLAN})
  const all = [...OWN_TUNNELS, ...[2, 3, 4].flatMap(n => toPeer(n))]
  await node.holds(all)
  // Nobody listens: the kernel's buffer for the agent runs over.
  node.agent.process!.kill('SIGSTOP')
  const commands: string[] = []
  for (let n = 0; n < 25_000; n++) {
    const mac = `02:00:00:00:${byte(n >> 8)}:${byte(n)}`
    commands.push(`neigh replace 10.9.0.2 dev ng-vx0 lladdr ${mac} nud permanent`)
    commands.push(`neigh replace fe80::ff:fe06:2 dev ng-vx0-6 lladdr ${mac} nud permanent`)
    // What is told of a link is long.
    commands.push(`link set ng-vx0 group ${n}`)
    commands.push(
      `route replace 10.65.3.0/24 via 10.9.0.4 dev ng-vx0 onlink proto 107 metric 2048 mtu ${1000 + (n & 255)}`,
    )
  }
  commands.push(
    'route del 10.65.4.0/24',
    'neigh del 10.9.0.3 dev ng-vx0',
    'route add 10.99.0.0/24 dev eth0 proto static',
  )
  const entries = Array.from(
    {length: 10_000},
    (_, n) => `fdb replace 02:00:00:04:00:02 dev ng-vx0 dst 10.9.${n >> 8}.${n & 255} self permanent`,
  )
  entries.push(
    'fdb add 02:00:00:00:00:77 dev ng-vx0 dst 10.9.0.77 self permanent',
    'fdb del 02:00:00:06:00:03 dev ng-vx0-6',
  )
  await Promise.all([ipBatch(node.namespace, commands), bridgeBatch(node.namespace, entries)])
  const stray = (await node.tunnels()).filter(line => !all.includes(line))
  t.true(stray.length >= 5, stray.join('\n'))
  node.agent.process!.kill('SIGCONT')
  await node.holds(all)
  await node.until(async () => (await node.agent.metric('netgraft_netlink_enobufs_total'))! > 0)
  t.true((await node.agent.metric('netgraft_kernel_resyncs_total', {reason: 'lost'}))! > 0)
  t.regex(await node.ip('route show 10.99.0.0/24'), /dev eth0 proto static/)
  await node.until(() => node.published() === OWN_VTEP)
})

function bridgeBatch(at: Namespace, commands: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('bridge', ['-n', at.name, '-force', '-batch', '-'], {stdio: ['pipe', 'ignore', 'ignore']})
    child.on('error', reject)
    child.on('close', () => resolve())
    child.stdin.end(`${commands.join('\n')}\n`)
  })
}

/** Node a or b: behind a router, which knows no pods. */
async function behindRouter(t: ExecutionContext, router: Namespace, n: 1 | 2, beside?: TestNode): Promise<TestNode> {
  const name = 'ab'[n - 1]!
  const node = await startNode(t, {
    nodes: beside
      ? []
      : [1, 2].map(m => `${'ab'[m - 1]} 10.65.${m}.0/24 fd00:65:${m}::/64 via 192.168.${m}.1 fd00:10${m}::1`),
    config: {networks: [{backend: 'auto'}]},
    env: {NODE_NAME: name},
    network: [
      'link add eth0 type veth peer name sw0',
      'link set eth0 up',
      `addr add 192.168.${n}.1/24 dev eth0`,
      `addr add fd00:10${n}::1/64 dev eth0 nodad`,
    ],
    start: false,
    ...(beside && {beside}),
  })
  await node.ip(`link set sw0 netns ${router.name} name to${n}`)
  router.ip('link', 'set', `to${n}`, 'up')
  router.ip('addr', 'add', `192.168.${n}.254/24`, 'dev', `to${n}`)
  router.ip('addr', 'add', `fd00:10${n}::254/64`, 'dev', `to${n}`, 'nodad')
  await node.ip(`route add default via 192.168.${n}.254`)
  await node.ip(`route add default via fd00:10${n}::254`)
  node.agent.start()
  return node
}

/** Address 5 of the node's ranges. */
async function pod(t: ExecutionContext, node: TestNode, n: number): Promise<Namespace> {
  const [inside] = await namespaces(t, 1)
  const words = [
    `link add pod0 type veth peer name eth0 netns ${inside.name}`,
    'link set pod0 up',
    'addr add 169.254.1.1/32 dev pod0',
    'addr add fe80::1/64 dev pod0 nodad',
    `route add 10.65.${n}.5/32 dev pod0`,
    `route add fd00:65:${n}::5/128 dev pod0`,
  ]
  for (const each of words) await node.ip(each)
  const within = [
    'link set eth0 up',
    `addr add 10.65.${n}.5/32 dev eth0`,
    `addr add fd00:65:${n}::5/128 dev eth0 nodad`,
    'route add 169.254.1.1/32 dev eth0',
    'route add default via 169.254.1.1',
    'route add default via fe80::1 dev eth0',
  ]
  for (const each of within) inside.ip(...each.split(' '))
  return inside
}

test('agents that stop, are killed and start again under traffic lose no packet, whatever other nodes do', async t => {
  const [router] = await namespaces(t, 1)
  for (const key of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding']) router.exec('sysctl', '-qw', `net.${key}=1`)
  const a = await behindRouter(t, router, 1)
  const b = await behindRouter(t, router, 2, a)
  const [from] = [await pod(t, a, 1), await pod(t, b, 2)]
  const ping = async (...words: string[]): Promise<{sent: number; lost: number}> => {
    const child = run('ip', ['netns', 'exec', from.name, 'ping', '-q', '-W', '10', ...words])
    const {stdout} = await child.catch((error: {stdout: string}) => error)
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? []
    return {sent: Number(sent), lost: Number(sent) - Number(received)}
  }
  const targets = ['10.65.2.5', 'fd00:65:2::5']
  for (const target of targets)
    await a.until(async () => (await ping('-c', '1', '-W', '1', target)).lost === 0, `an answer of ${target}`)
  t.regex((await a.tunnels()).join('\n'), /route 10\.65\.2\.0\/24 via 192\.168\.2\.1 dev ng-vx0 /)
  // As large as the tunnels' MTU says, and not to be broken up.
  t.is((await ping('-c', '1', '-M', 'do', '-s', `${1450 - 28}`, targets[0]!)).lost, 0)
  t.is((await ping('-c', '1', '-M', 'do', '-s', `${1430 - 48}`, targets[1]!)).lost, 0)

  let going = true
  const flood = async (target: string) => {
    const total = {sent: 0, lost: 0}
    while (going) {
      const {sent, lost} = await ping('-i', '0.005', '-c', '100', target)
      total.sent += sent
      total.lost += lost
    }
    return total
  }
  const floods = targets.map(flood)
  let others = 0
  for (const {agent} of [a, b, a, b]) {
    for (const end of [() => agent.stop(), () => agent.kill()]) {
      await end()
      a.put(`x${others} 10.66.${others}.0/24 via 10.9.0.${others + 1} ends ${ends(others + 9, others + 1)}`)
      if (others > 2) a.remove(`x${others - 3}`)
      others++
      agent.start()
      await a.until(() => agent.ready())
    }
  }
  going = false
  for (const {sent, lost} of await Promise.all(floods)) {
    t.log(`${sent} packets, ${lost} lost`)
    t.true(sent >= 100)
    t.is(lost, 0)
  }
})
