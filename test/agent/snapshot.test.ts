/** A node that boots without its API server, and what becomes of it when that returns. The real agent; needs root. */
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {built, nodeObject, SELF, startNode, type TestNode} from './support/node.ts'

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const TO_B = ['10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2']
const peer = (n: number, address = n) => `p${n} 10.65.${n}.0/24 via 192.168.1.${address}`
const toPeer = (n: number, address = n) => `10.65.${n}.0/24 via 192.168.1.${address}`
const peers = (from: number, to: number) => Array.from({length: to - from + 1}, (_, i) => from + i)
const RUNNING = 'running on the snapshot of an earlier agent'

test.before(built)

/** The agent ends, the API server goes away, and nothing of the routes is left in the kernel. */
async function reboot(node: TestNode): Promise<void> {
  await node.agent.stop()
  await node.api.faults.down()
  for (const family of [4, 6]) await node.ip(`-${family} route flush proto 107`)
  await node.has()
}

const inUse = (node: TestNode) => node.agent.metric('netgraft_snapshot_in_use', {resource: 'nodes'})

test('booted without its API server a node has its routes; what the server says when it is back wins', async t => {
  const node = await startNode(t, {nodes: [SELF, B, peer(1), peer(2)]})
  await node.has(...TO_B, toPeer(1), toPeer(2))
  t.is(await inUse(node), 0)
  await reboot(node)
  node.agent.start()
  await node.has(...TO_B, toPeer(1), toPeer(2))
  await node.until(() => node.agent.ready())
  const {savedAt, items} = await node.says(RUNNING)
  t.is(items, 4)
  const savedSeconds = Date.parse(savedAt as string) / 1000
  t.true(Math.abs(savedSeconds - Date.now() / 1000) < 120)
  t.is(await inUse(node), 1)
  t.is(await node.agent.metric('netgraft_snapshot_saved_timestamp_seconds', {resource: 'nodes'}), savedSeconds)
  t.is(await node.agent.metric('netgraft_api_last_contact_timestamp_seconds'), undefined)
  // Meanwhile the kernel is looked after as ever.
  await node.ip('route del 10.65.1.0/24')
  await node.has(...TO_B, toPeer(1), toPeer(2))

  node.remove('p1')
  node.put(peer(2, 22), peer(3))
  await node.api.faults.up()
  await node.has(...TO_B, toPeer(2, 22), toPeer(3))
  await node.until(async () => (await inUse(node)) === 0)
  await node.says('the snapshot is no longer used')
  t.true(Math.abs((await node.agent.metric('netgraft_api_last_contact_timestamp_seconds'))! - Date.now() / 1000) < 60)
  t.is(node.agent.logs.filter(line => line.msg.includes('snapshot')).length, 2)

  // In an outage later on the newest facts stand, and the next boot begins with them.
  await node.api.faults.down()
  await node.says('warn', 'the API server failed us')
  t.is(await inUse(node), 0)
  await reboot(node)
  node.agent.start()
  await node.has(...TO_B, toPeer(2, 22), toPeer(3))
})

test('the ends of tunnels are in the snapshot as well', async t => {
  const node = await startNode(t, {config: {networks: [{backend: 'vxlan'}]}})
  const vtep = {vni: 1, port: 8472, ends: [{ip: '192.168.0.3', mac: '02:00:00:00:00:03'}]}
  const annotations = {'netgraft.dev/vtep-default': JSON.stringify(vtep)}
  node.api.create(nodeObject('c 10.64.3.0/24 via 192.168.0.3', {metadata: {annotations}}))
  const tunnelled = async () =>
    (await node.routes()).some(route => /^10\.64\.3\.0\/24 .*dev ng-vx0 /.test(route)) &&
    node.namespace.exec('bridge', 'fdb', 'show', 'dev', 'ng-vx0').includes('02:00:00:00:00:03 dst 192.168.0.3')
  await node.until(tunnelled, 'the tunnel')
  await node.agent.stop()
  await node.api.faults.down()
  await node.ip('link del ng-vx0')
  await node.ip('link del ng-vx0-6')
  node.agent.start()
  await node.says(RUNNING)
  await node.until(tunnelled, 'the tunnel')
  await node.until(() => node.agent.ready())
  t.pass()
})

test('an API server that accepts connections and says nothing is not waited for', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await reboot(node)
  await node.api.faults.up()
  node.api.faults.stallWatches(true)
  node.agent.start()
  await node.has(...TO_B)
  await node.says(RUNNING)
  t.true(await node.agent.ready())
})

test('while it runs on the snapshot, it adds what is missing and touches nothing that stands', async t => {
  const node = await startNode(t, {nodes: [SELF, B, peer(1), peer(2)]})
  await node.has(...TO_B, toPeer(1), toPeer(2))
  await reboot(node)
  // What an agent knew that ran after the snapshot was saved.
  await node.ip('route add 10.65.1.0/24 via 192.168.1.11 proto 107 metric 2048')
  await node.ip('route add 10.65.9.0/24 via 192.168.1.9 proto 107 metric 2048')
  node.agent.start()
  await node.has(...TO_B, toPeer(1, 11), toPeer(2), toPeer(9))
  await node.until(() => node.agent.ready())
  await node.api.faults.up()
  await node.has(...TO_B, toPeer(1), toPeer(2))
})

test('an API server that returns with a fifth of the nodes is believed only when a second list says the same', async t => {
  const all = peers(1, 20)
  const node = await startNode(t, {nodes: [SELF, B, ...all.map(n => peer(n))]})
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  await reboot(node)
  node.remove(...peers(4, 20).map(n => `p${n}`))
  await node.api.faults.up()
  // There is not a single route in the kernel that could tell.
  node.agent.start()
  await node.says('warn', 'most objects are missing from a list', '17')
  t.is(await inUse(node), 1)
  t.is(await node.agent.metric('netgraft_deletions_held'), 17)
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  await node.until(() => node.agent.ready())
  // The second list says the same.
  await node.has(...TO_B, ...peers(1, 3).map(n => toPeer(n)))
  t.is(await inUse(node), 0)
  t.is(await node.agent.metric('netgraft_deletions_held'), 0)
})

test('a list of a fifth of the nodes that was a mistake costs no route', async t => {
  const all = peers(1, 20)
  const node = await startNode(t, {nodes: [SELF, B, ...all.map(n => peer(n))]})
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  await reboot(node)
  node.remove(...peers(4, 20).map(n => `p${n}`))
  await node.api.faults.up()
  node.agent.start()
  await node.says('warn', 'most objects are missing from a list', '17')
  node.put(...peers(4, 20).map(n => peer(n)))
  await node.until(async () => (await inUse(node)) === 0)
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  t.is(await node.agent.metric('netgraft_route_changes_total', {op: 'delete'}), 0)
})

test('nodes are saved while the agent runs, also when it is killed', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.until(() => existsSync(join(node.agent.state, 'nodes.json')))
  await node.agent.kill()
  await node.api.faults.down()
  for (const family of [4, 6]) await node.ip(`-${family} route flush proto 107`)
  node.agent.start()
  await node.has(...TO_B)
})

test('a snapshot that cannot be used, and one that cannot be written: told, and nothing else', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await reboot(node)
  const file = join(node.agent.state, 'nodes.json')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replaceAll('192.168.0.2', '192.168.0.3'))
  node.agent.start()
  await node.says('warn', 'the saved nodes cannot be used; going on without them', file, 'not as it was written')
  await node.says('warn', 'the API server failed us')
  await node.has()
  t.false(await node.agent.ready())
  t.is(await inUse(node), 0)
  await node.api.faults.up()
  await node.has(...TO_B)
  // Stopped and pending: saved.
  t.is(await node.agent.stop(), 0)
  t.is(readFileSync(file, 'utf8').split('\n').slice(1).join('\n'), text.split('\n').slice(1).join('\n'))

  writeFileSync(
    node.agent.config,
    readFileSync(node.agent.config, 'utf8').replace(JSON.stringify(node.agent.state), JSON.stringify(join(file, 'no'))),
  )
  node.agent.start()
  await node.says('warn', 'the nodes cannot be saved; trying again', 'ENOTDIR')
  await node.has(...TO_B)
  // Without a journal no pod can start.
  const {status, body} = (await node.agent.http('/readyz'))!
  t.is(status, 503)
  t.regex(body, /^cni: it cannot be opened: ENOTDIR.*\n$/)
  t.is(await node.agent.metric('netgraft_snapshot_errors_total', {op: 'write'}), 1)
  t.is(await node.agent.stop(), 0)
  await node.has(...TO_B)
})
