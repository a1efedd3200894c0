/** Who else writes to the tunnels, and what breaks under them: all is put right. The real agent; needs root. */
import {cpSync, rmSync} from 'node:fs'
import test, {type ExecutionContext} from 'ava'
import {built, OWN_TUNNELS, OWN_VTEP, SELF, startNode, type TestNode, VTEP, VXLAN, vtep} from './support/node.ts'

/** Node n, beyond a router: its object, and what leads there. */
const peer = (n: number, mac = n) =>
  `p${n} 10.64.${n}.0/24 fd00:64:${n}::/64 via 10.9.0.${n} fd00:9::${n} ends 10.9.0.${n}/02:00:00:00:04:${two(mac)} fd00:9::${n}/02:00:00:00:06:${two(mac)}`
const toPeer = (n: number, mac = n, address = n) => [
  `route 10.64.${n}.0/24 via 10.9.0.${address} dev ng-vx0 metric 2048 onlink`,
  `neigh 10.9.0.${address} dev ng-vx0 lladdr 02:00:00:00:04:${two(mac)}`,
  `fdb 02:00:00:00:04:${two(mac)} dev ng-vx0 dst 10.9.0.${address}`,
  `route fd00:64:${n}::/64 via fe80::ff:fe00:6${two(mac)} dev ng-vx0-6 metric 2048`,
  `neigh fe80::ff:fe00:6${two(mac)} dev ng-vx0-6 lladdr 02:00:00:00:06:${two(mac)}`,
  `fdb 02:00:00:00:06:${two(mac)} dev ng-vx0-6 dst fd00:9::${address}`,
]
const two = (n: number) => `${n}`.padStart(2, '0')

const ALL = [...OWN_TUNNELS, ...toPeer(2), ...toPeer(3)]

/** A node with two peers, which has all that it should. */
async function tunnelled(t: ExecutionContext): Promise<TestNode> {
  const node = await startNode(t, {nodes: [SELF, peer(2), peer(3)], config: VXLAN})
  await node.holds(ALL)
  await published(node)
  return node
}

const published = (node: TestNode, text = OWN_VTEP) =>
  node.until(
    () => node.published() === text,
    () => `${text} is published, not ${node.published()}`,
  )

/** By hand: "neigh del …" and the like as `ip` takes them, "fdb …" as `bridge` does. */
async function hand(node: TestNode, command: string): Promise<void> {
  await (command.startsWith('fdb ') ? node.bridge(command) : node.ip(command))
}

/** What is done by hand, which the agent has to have noticed, and what is put right. */
async function putRight(t: ExecutionContext, node: TestNode, commands: readonly string[]): Promise<void> {
  for (const command of commands) {
    const repairs = (await node.agent.metric('netgraft_drift_repairs_total'))!
    await hand(node, command)
    await node.until(async () => (await node.agent.metric('netgraft_drift_repairs_total'))! > repairs, command)
    await node.holds(ALL)
  }
  t.is(node.agent.process!.exitCode, null)
}

test.before(built)

test('neighbours and forwarding entries that are removed, replaced or added by hand', async t => {
  const node = await tunnelled(t)
  await node.ip('nexthop add id 10 via 10.9.0.77 fdb')
  await node.ip('nexthop add id 11 group 10 fdb')
  await putRight(t, node, [
    'neigh del 10.9.0.2 dev ng-vx0',
    '-6 neigh del fe80::ff:fe00:602 dev ng-vx0-6',
    'neigh replace 10.9.0.2 dev ng-vx0 lladdr 02:00:00:00:00:99 nud permanent',
    'neigh change 10.9.0.2 dev ng-vx0 lladdr 02:00:00:00:04:02 nud reachable',
    '-6 neigh replace fe80::ff:fe00:602 dev ng-vx0-6 lladdr 02:00:00:00:00:99 nud permanent',
    'neigh add 10.9.0.77 dev ng-vx0 lladdr 02:00:00:00:00:77 nud permanent',
    '-6 neigh add fe80::77 dev ng-vx0-6 lladdr 02:00:00:00:00:77 nud permanent',
    'neigh flush dev ng-vx0 nud permanent',
    '-6 neigh flush dev ng-vx0-6 nud permanent',
    'fdb del 02:00:00:00:04:02 dev ng-vx0',
    'fdb del 02:00:00:00:06:02 dev ng-vx0-6',
    'fdb append 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.99 self permanent',
    'fdb replace 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.99 self permanent',
    'fdb replace 02:00:00:00:06:02 dev ng-vx0-6 dst fd00:9::99 self permanent',
    'fdb replace 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.2 port 4789 self permanent',
    'fdb replace 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.2 vni 7 self permanent',
    'fdb replace 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.2 self dynamic',
    'fdb add 02:00:00:00:00:77 dev ng-vx0 dst 10.9.0.77 self permanent',
    'fdb append 00:00:00:00:00:00 dev ng-vx0 dst 10.9.0.77 self permanent',
    'fdb add 02:00:00:00:00:77 dev ng-vx0 nhid 11 self permanent',
    'fdb flush dev ng-vx0 permanent',
  ])
  await published(node)
})

test('a forwarding entry bound to an interface by hand is unbound', async t => {
  const node = await tunnelled(t)
  await node.bridge('fdb replace 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.2 via eth0 self permanent')
  await node.holds(ALL)
})

test('a MAC for all the rest that leads to several nodes by hand leads nowhere again', async t => {
  const node = await tunnelled(t)
  // Only such a one can have several remotes.
  const append = async () => {
    for (const remote of [
      '10.9.0.2',
      '10.9.0.3 port 4789',
      '10.9.0.3',
      '10.9.0.4 vni 7',
      '10.9.0.4',
      '10.9.0.4 via eth0',
    ])
      await node.bridge(`fdb append 00:00:00:00:00:00 dev ng-vx0 dst ${remote} self permanent`)
  }
  await append()
  await node.holds(ALL)
  await node.agent.stop()
  await append()
  node.agent.start()
  await node.holds(ALL)
})

test('addresses and routes of the devices that are removed, replaced or added by hand', async t => {
  const node = await tunnelled(t)
  await putRight(t, node, [
    'addr del 10.64.1.0/32 dev ng-vx0',
    'addr del fd00:64:1::/128 dev ng-vx0-6',
    'addr add 10.99.0.1/24 dev ng-vx0',
    'addr add fd00:99::1/64 dev ng-vx0-6 nodad',
    'addr flush dev ng-vx0 scope global',
    'addr flush dev ng-vx0-6 scope global',
    'route del 10.64.2.0/24',
    '-6 route del fd00:64:2::/64',
    'route replace blackhole 10.64.2.0/24 proto 107 metric 2048',
    'route replace 10.64.2.0/24 via 10.9.0.3 dev ng-vx0 onlink proto 107 metric 2048',
    'route change 10.64.2.0/24 via 10.9.0.2 dev ng-vx0 onlink proto 107 metric 2048 mtu 1300',
    '-6 route replace fd00:64:2::/64 via fe80::ff:fe00:603 dev ng-vx0-6 proto 107 metric 2048',
    'route del unreachable 10.64.1.0/24 metric 2048',
    '-6 route del unreachable fd00:64:1::/64 metric 2048',
    'route flush proto 107',
    '-6 route flush proto 107',
  ])
})

test('devices that are changed, set down, renamed or deleted by hand', async t => {
  const node = await tunnelled(t)
  await putRight(t, node, [
    'link set ng-vx0 address 02:11:22:33:44:55',
    'link set ng-vx0-6 address 02:11:22:33:44:66',
    'link set ng-vx0 mtu 1300',
    'link set ng-vx0-6 mtu 9000',
    // Less than IPv6 needs: all of it goes from the device, and comes back.
    'link set ng-vx0 mtu 1200',
    'link set ng-vx0-6 mtu 1200',
    'link set ng-vx0 group default',
    'link set ng-vx0 down',
    'link set ng-vx0-6 down',
    'link set ng-vx0 type vxlan id 1 learning',
    'link del ng-vx0',
    'link del ng-vx0-6',
  ])
  await published(node)
})

test('a device that loses its alias has it again, and is ours all the time', async t => {
  const node = await tunnelled(t)
  // The space at the end: nothing.
  await node.ip('link set ng-vx0 alias ')
  await node.holds(ALL)
  await node.ip('link set ng-vx0-6 alias netgraft:other')
  await node.holds(ALL)
  await node.agent.stop()
  await node.ip('link set ng-vx0 alias ')
  node.agent.start()
  await node.holds(ALL)
  await published(node)
})

test('a device that is given another name is replaced, without a word of refusal', async t => {
  const node = await tunnelled(t)
  await node.ip('link set ng-vx0 down')
  await node.ip('link set ng-vx0 name other')
  await node.holds(ALL)
  await node.ip('link set ng-vx0-6 down name other')
  await node.holds(ALL)
  await published(node)
  t.deepEqual(
    node.agent.logs.filter(line => line.kind === 'refused'),
    [],
  )
})

test('a device that becomes somebody else’s by its alias is left to them, and ours comes back with its name', async t => {
  const node = await tunnelled(t)
  await node.ip('link set ng-vx0 alias theirs')
  await node.says('"device"', 'a link named ng-vx0 stands here that is not ours')
  await node.until(async () => !(await node.tunnels()).some(line => /^route .* dev ng-vx0 /.test(line)))
  await node.ip('link del ng-vx0')
  await node.holds(ALL)
  await published(node)
})

test('many hands at once', async t => {
  const node = await tunnelled(t)
  const blows = [
    'link del ng-vx0',
    'link set ng-vx0-6 down',
    'neigh flush dev ng-vx0 nud permanent',
    'link set ng-vx0-6 mtu 1200',
    'addr flush dev ng-vx0-6',
    'link set ng-vx0 address 02:11:22:33:44:55',
    'fdb del 02:00:00:00:04:03 dev ng-vx0',
    'route flush proto 107',
    'link del ng-vx0-6',
  ]
  for (let round = 0; round < 3; round++) {
    // What cannot be done at the moment is left out.
    await Promise.all(blows.map(blow => hand(node, blow).catch(() => '')))
    for (const blow of blows) await hand(node, blow).catch(() => '')
  }
  await node.holds(ALL)
  await published(node)
})

test('a peer with another MAC, another address or another range has its entries, and the old ones go', async t => {
  const node = await tunnelled(t)
  const annotate = (...ends: string[]) =>
    node.api.patch({resource: 'nodes', name: 'p2'}, {metadata: {annotations: vtep(...ends)}})
  const heard = await node.monitor()
  annotate('10.9.0.2/02:00:00:00:04:22', 'fd00:9::2/02:00:00:00:06:22')
  await node.holds(OWN_TUNNELS, toPeer(2, 22), toPeer(3))
  annotate('10.9.0.22/02:00:00:00:04:22', 'fd00:9::22/02:00:00:00:06:22')
  await node.holds(OWN_TUNNELS, toPeer(2, 22, 22), toPeer(3))
  node.put(peer(2), peer(3))
  await node.holds(ALL)
  t.deepEqual(
    (await heard()).filter(line => line.startsWith('Deleted') && /10\.64\.[23]\.|fd00:64:[23]:/.test(line)),
    [],
  )
  // Two exchange their ends: for a moment both have the same.
  node.put(peer(2, 3), peer(3, 2))
  await node.holds(OWN_TUNNELS, toPeer(2, 3), toPeer(3, 2))
  node.put(peer(2), peer(3))
  await node.holds(ALL)
  // The range of one goes to the other.
  node.put('p2 10.64.3.0/24 fd00:64:2::/64', 'p3 10.64.2.0/24 fd00:64:3::/64')
  await node.holds(
    OWN_TUNNELS,
    [
      'route 10.64.2.0/24 via 10.9.0.3 dev ng-vx0 metric 2048 onlink',
      'neigh 10.9.0.3 dev ng-vx0 lladdr 02:00:00:00:04:03',
      'route 10.64.3.0/24 via 10.9.0.2 dev ng-vx0 metric 2048 onlink',
      'neigh 10.9.0.2 dev ng-vx0 lladdr 02:00:00:00:04:02',
      ...[...toPeer(2), ...toPeer(3)].filter(line => line.startsWith('fdb') || line.includes(' dev ng-vx0-6 ')),
      ...['02', '03'].map(n => `fdb 02:00:00:00:04:${n} dev ng-vx0 dst 10.9.0.${Number(n)}`),
    ].filter((line, i, all) => all.indexOf(line) === i),
  )
})

test('an interface that goes down, loses its addresses and has them again: the tunnels stand, and work again', async t => {
  const node = await tunnelled(t)
  for (let flap = 0; flap < 3; flap++) {
    await node.ip('link set eth0 down')
    if (flap > 0) await node.ip('addr flush dev eth0')
    if (flap > 1) await node.ip('link del ng-vx0')
    await node.ip('link set eth0 up')
    await node.ip('addr replace 192.168.0.1/16 dev eth0')
    await node.ip('addr add fd00:100::1/64 dev eth0 nodad')
    await node.holds(ALL)
  }
  // Made anew.
  await node.ip('link del eth0')
  await node.ip('link del ng-vx0-6')
  await node.holds(
    OWN_TUNNELS.filter(line => !/ ng-vx0-6( |$)/.test(line)),
    [...toPeer(2), ...toPeer(3)].filter(line => !line.includes('ng-vx0-6')),
    [2, 3].flatMap(n => [
      `route fd00:64:${n}::/64 via fe80::ff:fe00:4${two(n)} dev ng-vx0 metric 2048`,
      `neigh fe80::ff:fe00:4${two(n)} dev ng-vx0 lladdr 02:00:00:00:04:${two(n)}`,
    ]),
  )
  await node.ip('link add eth0 type veth peer name sw0')
  await node.ip('link set sw0 up')
  await node.ip('link set eth0 up')
  await node.ip('addr add 192.168.0.1/16 dev eth0')
  await node.ip('addr add fd00:100::1/64 dev eth0 nodad')
  await node.holds(ALL)
  await published(node)
})

test('an MTU that goes below what IPv6 needs and back, while the agent is not there', async t => {
  const node = await tunnelled(t)
  await node.agent.stop()
  for (const words of ['link set ng-vx0 mtu 1200', 'link set ng-vx0-6 down', 'neigh flush dev ng-vx0 nud permanent'])
    await node.ip(words)
  await node.bridge('fdb replace 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.99 self permanent')
  await node.bridge('fdb add 02:00:00:00:00:77 dev ng-vx0 dst 10.9.0.77 self permanent')
  await node.ip('link set ng-vx0 address 02:11:22:33:44:55')
  node.remove('p3')
  node.put(peer(4))
  node.agent.start()
  await node.holds(OWN_TUNNELS, toPeer(2), toPeer(4))
  await published(node)
})

test('a range that a new node takes over leads to the new one; a node that is deleted leaves nothing', async t => {
  const node = await tunnelled(t)
  const heard = await node.monitor()
  node.remove('p2')
  node.put(peer(2, 42).replace('p2', 'new').replaceAll('10.9.0.2', '10.9.0.4').replaceAll('fd00:9::2', 'fd00:9::4'))
  await node.holds(OWN_TUNNELS, toPeer(2, 42, 4), toPeer(3))
  await heard()
  node.remove('new')
  await node.holds(OWN_TUNNELS, toPeer(3))
  node.remove('p3')
  await node.holds(OWN_TUNNELS)
  t.is(await node.agent.metric('netgraft_routes'), 0)
})

test('of two nodes that claim one range the newer has it, and when it goes, the older', async t => {
  let clock = Date.parse('2026-01-01')
  const node = await startNode(t, {
    nodes: [SELF, peer(2), peer(3)],
    config: VXLAN,
    api: {now: () => (clock += 60_000)},
  })
  await node.holds(ALL)
  const heard = await node.monitor()
  node.put('new 10.64.2.0/24 fd00:64:2::/64 via 10.9.0.4 ends 10.9.0.4/02:00:00:00:04:42 fd00:9::4/02:00:00:00:06:42')
  await node.says('"overlap"', 'nodes new and p2 both claim pod range 10.64.2.0/24', 'new has it')
  await node.holds(OWN_TUNNELS, toPeer(2, 42, 4), toPeer(3))
  node.remove('new')
  await node.holds(ALL)
  await node.says('trouble over', '10.64.2.0/24')
  t.deepEqual(
    (await heard()).filter(line => line.startsWith('Deleted') && line.includes('64:2')),
    [],
  )
  // The newer one has no tunnel: it has the range all the same, and the older one's way to it goes.
  node.put('mute 10.64.2.0/24 via 10.9.0.5')
  await node.says('"unreachable"', 'node mute', '10.64.2.0/24', 'published no end of a tunnel yet')
  await node.holds(
    OWN_TUNNELS,
    toPeer(2).filter(line => !/10\.64\.2\.0|02:00:00:00:04:02/.test(line)),
    toPeer(3),
  )
})

test('of two nodes with one address the newer has it, and when it goes, the older', async t => {
  let clock = Date.parse('2026-01-01')
  const node = await startNode(t, {
    nodes: [SELF, peer(2), peer(3)],
    config: VXLAN,
    api: {now: () => (clock += 60_000)},
  })
  await node.holds(ALL)
  // The machine has another name now, and a range and MACs of its own.
  node.put('new 10.64.9.0/24 via 10.9.0.2 ends 10.9.0.2/02:00:00:00:04:42')
  await node.says('"unreachable"', 'node p2', '10.9.0.2')
  await node.holds(OWN_TUNNELS, toPeer(3), [
    'route 10.64.9.0/24 via 10.9.0.2 dev ng-vx0 metric 2048 onlink',
    'neigh 10.9.0.2 dev ng-vx0 lladdr 02:00:00:00:04:42',
    'fdb 02:00:00:00:04:42 dev ng-vx0 dst 10.9.0.2',
  ])
  node.remove('new')
  await node.holds(ALL)
  await node.says('trouble over', 'node p2')
})

test('while the own node has no object, all stays as it is', async t => {
  const node = await tunnelled(t)
  node.remove('a')
  node.put(peer(4))
  await node.until(async () => (await node.tunnels()).includes(toPeer(4)[0]!))
  await node.ip('link set ng-vx0 down')
  node.put(SELF)
  await node.holds(ALL, toPeer(4))
  await published(node)
  node.remove('a')
  node.remove('p4')
  await node.holds(ALL)
})

test('with the API server away and a snapshot from before, no device is taken away', async t => {
  const node = await tunnelled(t)
  // As it was before the node had another address, of which only the kernel tells.
  await node.agent.stop()
  const old = `${node.agent.state}-old`
  cpSync(node.agent.state, old, {recursive: true})
  node.agent.start()
  await node.ip('addr del 192.168.0.1/16 dev eth0')
  await node.ip('addr add 192.168.0.21/16 dev eth0')
  node.put(SELF.replace('192.168.0.1', '192.168.0.21'))
  const moved = ALL.map(line => line.replace('192.168.0.1', '192.168.0.21'))
  await node.holds(moved)
  await node.agent.kill()
  await node.api.faults.down()
  rmSync(node.agent.state, {recursive: true, maxRetries: 5})
  cpSync(old, node.agent.state, {recursive: true})
  const heard = await node.monitor('link', 'neigh', 'address')
  node.agent.start()
  await node.says('running on the snapshot of an earlier agent')
  await node.until(() => node.agent.ready())
  // What seems to be missing may be added.
  const standing = await node.tunnels()
  t.deepEqual(
    moved.filter(line => !standing.includes(line)),
    [],
  )
  t.deepEqual(
    (await heard()).filter(line => line.startsWith('Deleted')),
    [],
  )
  await node.api.faults.up()
  await node.says('the snapshot is no longer used')
  await node.holds(moved)
})

test('an API server that comes back with other ends of the tunnels', async t => {
  const node = await tunnelled(t)
  node.put(peer(5))
  await node.holds(ALL, toPeer(5))
  await node.api.faults.down()
  node.remove('p5')
  node.put(peer(2, 22), peer(4))
  node.api.patch({resource: 'nodes', name: 'p3'}, {metadata: {annotations: {[VTEP]: null}}})
  node.api.patch({resource: 'nodes', name: 'a'}, {metadata: {annotations: {[VTEP]: null}}})
  await node.says('the API server failed us')
  // Meanwhile the kernel is looked after as ever.
  await node.ip('link del ng-vx0')
  await node.holds(ALL, toPeer(5))
  t.true(await node.agent.ready())
  node.api.faults.compact()
  await node.api.faults.up()
  await node.holds(OWN_TUNNELS, toPeer(2, 22), toPeer(4))
  await published(node)
})
