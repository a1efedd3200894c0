/** An API server that misbehaves, as they do: routes stand meanwhile, and are right afterwards. The real agent; needs root. */
import {rmSync} from 'node:fs'
import test from 'ava'
import {built, SELF, startNode} from './support/node.ts'

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const TO_B = ['10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2']
const peer = (n: number, address = n) => `p${n} 10.65.${n}.0/24 via 192.168.1.${address}`
const toPeer = (n: number, address = n) => `10.65.${n}.0/24 via 192.168.1.${address}`
const peers = (from: number, to: number) => Array.from({length: to - from + 1}, (_, i) => from + i)

test.before(built)

test('an API server that is away at the start, and comes', async t => {
  const node = await startNode(t, {nodes: [SELF, B], start: false})
  await node.api.faults.down()
  // What an earlier agent has left is not pruned before the nodes are known.
  await node.ip('route add 10.64.2.0/24 via 192.168.0.2 proto 107 metric 2048')
  await node.ip('route add 10.99.0.0/24 via 192.168.0.9 proto 107 metric 2048')
  node.agent.start()
  await node.says('the API server failed us')
  t.is((await node.routes()).length, 2)
  await node.api.faults.up()
  await node.has(...TO_B)
})

test('an API server that goes away and comes back with other content', async t => {
  const node = await startNode(t, {nodes: [SELF, B, ...peers(1, 5).map(n => peer(n))]})
  await node.has(...TO_B, ...peers(1, 5).map(n => toPeer(n)))
  await node.api.faults.down()
  node.remove('p1', 'p2')
  node.put(peer(3, 33), peer(6))
  await node.says('the API server failed us')
  // Meanwhile the kernel is looked after as ever.
  await node.ip('route del 10.65.1.0/24')
  await node.has(...TO_B, ...peers(1, 5).map(n => toPeer(n)))
  t.true(await node.agent.ready())
  await node.api.faults.up()
  await node.has(...TO_B, toPeer(3, 33), toPeer(4), toPeer(5), toPeer(6))
})

test('history that is gone, errors of all kinds, and connections that break', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  const {faults} = node.api
  /** They end the watch as well, so that the next request meets them. */
  const blows: readonly [what: string, blow: () => void][] = [
    ['a cut watch', () => {}],
    ['a compaction', () => faults.compact()],
    ['a watch that is too old', () => faults.gone(2)],
    ['an internal error', () => faults.fail(1, 500)],
    ['too many requests', () => faults.fail(1, 429)],
    ['unavailability', () => faults.fail(2, 503)],
    ['a refusal', () => faults.fail(1, 403)],
    [
      'a slow answer',
      () => {
        faults.latencyMs = 300
      },
    ],
  ]
  const standing = [...TO_B]
  for (const [i, [what, blow]] of blows.entries()) {
    t.log(what)
    blow()
    faults.cutWatches()
    node.put(peer(i))
    standing.push(toPeer(i))
    await node.has(...standing)
    faults.latencyMs = 0
  }
  faults.truncateNext()
  node.put(peer(99))
  standing.push(toPeer(99))
  await node.has(...standing)
  // Together, and in a row.
  for (let i = 0; i < 20; i++) {
    faults.cutWatches()
    if (i % 3 === 0) faults.compact({cutWatches: true})
    node.put(peer(100 + i))
    node.remove(`p${100 + i}`)
  }
  node.put(peer(200))
  await node.has(...standing, toPeer(200))
  t.true((await node.agent.metric('netgraft_api_errors_total'))! > 0)
  t.true((await node.agent.metric('netgraft_relists_total', {reason: 'gone'}))! > 0)
  t.is(node.agent.process!.exitCode, null)
})

test('a list that has lost most of its nodes is believed only when a second one says the same', async t => {
  const all = peers(1, 20)
  const node = await startNode(t, {nodes: [SELF, B, ...all.map(n => peer(n))]})
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  await node.api.faults.down()
  node.remove(...peers(1, 17).map(n => `p${n}`))
  node.put(peer(21))
  node.api.faults.compact()
  await node.api.faults.up()
  await node.says('warn', 'most objects are missing from a list', '17')
  // What is new is served at once, what is missing stays.
  await node.has(...TO_B, ...all.map(n => toPeer(n)), toPeer(21))
  t.is(await node.agent.metric('netgraft_deletions_held'), 17)
  await node.has(...TO_B, ...peers(18, 21).map(n => toPeer(n)))
  t.is(await node.agent.metric('netgraft_deletions_held'), 0)
})

test('a list that is empty by mistake costs no route', async t => {
  const all = peers(1, 20)
  const node = await startNode(t, {nodes: [SELF, B, ...all.map(n => peer(n))]})
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  await node.api.faults.down()
  node.remove('a', 'b', ...all.map(n => `p${n}`))
  node.api.faults.compact()
  await node.api.faults.up()
  await node.says('warn', 'most objects are missing from a list', '22')
  // The mistake ends before the second list.
  node.put(SELF, B, ...all.map(n => peer(n)))
  await node.until(async () => (await node.agent.metric('netgraft_deletions_held')) === 0)
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  t.is(await node.agent.metric('netgraft_route_changes_total', {op: 'delete'}), 0)
})

test('a first list that lacks most of what an earlier agent knew is read twice', async t => {
  const all = peers(1, 20)
  const node = await startNode(t, {nodes: [SELF, B, ...all.map(n => peer(n))]})
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  await node.agent.kill()
  // The routes in the kernel alone tell what there was.
  rmSync(node.agent.state, {recursive: true, force: true, maxRetries: 5})
  node.remove(...all.map(n => `p${n}`))
  node.agent.start()
  await node.says('warn', 'most objects are missing from a list')
  t.false(await node.agent.ready())
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  // The second list says the same.
  await node.has(...TO_B)
})

test('nodes that are really gone, one by one, take all routes along', async t => {
  const all = peers(1, 20)
  const node = await startNode(t, {nodes: [SELF, B, ...all.map(n => peer(n))]})
  await node.has(...TO_B, ...all.map(n => toPeer(n)))
  node.remove('b', ...all.map(n => `p${n}`))
  await node.has()
  node.put(B)
  await node.has(...TO_B)
})
