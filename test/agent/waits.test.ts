/** Metrics, status and log of what an agent waits for: readiness, the store of pairs, and pairs. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {answerOf} from '../cli/support.ts'
import {startEtcdPeer} from './support/etcd.ts'
import {built, SELF, startNode, type TestNode} from './support/node.ts'
import {type Cluster, createDefinitions, startCluster} from './support/pairs.ts'

test.before(built)

const end = (peer: string, ifname: string) => ({peer, interface: ifname})

/** Waits until the metric has this value. */
async function shows(cluster: Cluster, node: string, metric: string, labels: Record<string, string>, value: unknown) {
  let seen: unknown
  const wanted = typeof value === 'function' ? (value as (seen: number | undefined) => boolean) : undefined
  await cluster.until(
    async () => {
      seen = await cluster.at(node).node.agent.metric(metric, labels)
      return wanted ? wanted(seen as number | undefined) : seen === value
    },
    () => `${node}: ${metric} ${JSON.stringify(labels)} is ${seen}`,
  )
}

const waiting = (cluster: Cluster, node: string, waits_for: string, count: number) =>
  shows(cluster, node, 'netgraft_pair_ends', {state: 'waiting', waits_for}, count)

const isNow = (seconds: number | undefined): boolean =>
  seconds !== undefined && Math.abs(Date.now() / 1000 - seconds) < 60

const said = (node: TestNode, words: string) => node.agent.logs.filter(({msg}) => msg.includes(words))

async function lively(t: ExecutionContext, cluster: Cluster, names: readonly string[]): Promise<void> {
  for (const name of names)
    for (const resource of ['pairpods', 'vnis', 'pairs', 'owners']) {
      const {agent} = cluster.at(name).node
      await shows(cluster, name, 'netgraft_store_synced', {resource}, 1)
      t.true(isNow(await agent.metric('netgraft_store_last_contact_timestamp_seconds', {resource})), resource)
    }
}

test('etcd away, a node away, numbers used up: what is waited for has a name, and the server its own', async t => {
  t.timeout(300_000)
  const etcd = await startEtcdPeer(t)
  const cluster = await startCluster(t, {etcd, config: {pairs: {aliveSeconds: 5, vnis: {from: 7, to: 7}}}})
  const [a, b] = [cluster.at('a').node, cluster.at('b').node]
  // Not one of its own pods has to do with a pair yet: nothing is to be shown to others.
  await shows(cluster, 'a', 'netgraft_store_synced', {store: 'etcd', resource: 'vnis'}, 1)
  t.is(await a.agent.metric('netgraft_store_sign_of_life'), undefined)

  etcd.cut()
  await a.agent.restart()
  const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1'), end('z', 'in2')]})
  await waiting(cluster, 'a', 'store', 2)
  await waiting(cluster, 'a', 'peer', 0)
  await cluster.told(x, 'waiting store')
  t.is(await a.agent.metric('netgraft_store_synced', {store: 'etcd', resource: 'pairpods'}), 0)
  t.is(await a.agent.metric('netgraft_store_last_contact_timestamp_seconds'), undefined)
  t.true((await a.agent.metric('netgraft_api_errors_total', {server: 'etcd', resource: 'pairpods'}))! > 0)
  t.is(await a.agent.metric('netgraft_api_errors_total', {server: 'kubernetes', resource: 'pairpods'}), undefined)
  await a.says('etcd failed us')
  t.deepEqual(said(a, 'the API server failed us'), [])
  t.deepEqual(said(a, 'streaming lists'), [])
  const {store} = await answerOf(a, 'status')
  t.regex(store.reason!, /^etcd at http:\/\/127\.0\.0\.1:2379 /)

  etcd.mend()
  const y = await cluster.start('b', 'y')
  await cluster.told(x, 'up in1 vxlan', 'waiting in2 peer')
  await waiting(cluster, 'a', 'store', 0)
  await waiting(cluster, 'a', 'peer', 1)
  await shows(cluster, 'a', 'netgraft_pair_ends', {state: 'up', kind: 'vxlan'}, 1)
  await lively(t, cluster, ['a', 'b'])
  for (const name of ['a', 'b']) await shows(cluster, name, 'netgraft_store_sign_of_life', {store: 'etcd'}, 1)

  // The only number is taken.
  const z = await cluster.start('b', 'z')
  await cluster.told(x, 'up in1 vxlan', 'waiting in2 vni')
  await waiting(cluster, 'a', 'vni', 1)
  await waiting(cluster, 'a', 'peer', 0)

  etcd.cut('b')
  await waiting(cluster, 'a', 'node', 2)
  await shows(cluster, 'b', 'netgraft_store_sign_of_life', {}, 0)
  await cluster.until(
    async () => /^etcd at /.test((await answerOf(b, 'status')).store.reason ?? ''),
    "b's status names etcd",
  )
  // What is told meanwhile fails, and is counted.
  cluster.declare(y, [end('x', 'in1'), end('nobody', 'in9')])
  await shows(
    cluster,
    'b',
    'netgraft_store_errors_total',
    {store: 'etcd', resource: 'pairpods'},
    (n?: number) => n! > 0,
  )
  etcd.mend('b')
  await waiting(cluster, 'a', 'node', 0)
  await shows(cluster, 'b', 'netgraft_store_sign_of_life', {}, 1)
  await cluster.until(async () => (await answerOf(b, 'status')).store.reason === undefined, "b's status is well again")

  // b dies, and its pods are taken from it.
  await b.agent.kill()
  for (const {project, name} of [y, z]) cluster.api.delete({resource: 'pods', namespace: project, name})
  await shows(cluster, 'a', 'netgraft_store_leftovers_removed_total', {resource: 'pairpods'}, 2)
  await waiting(cluster, 'a', 'peer', 2)
  await cluster.stop(x)
  for (const state of ['waiting', 'building', 'up', 'failed', 'contradiction'])
    await shows(cluster, 'a', 'netgraft_pair_ends', {state}, 0)
})

test('the Kubernetes API as the store, without its definitions, and with them', async t => {
  const cluster = await startCluster(t, {nodes: ['a'], crds: false})
  const {agent} = cluster.at('a').node
  const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1')]})
  await waiting(cluster, 'a', 'store', 1)
  await cluster.told(x, 'waiting store')
  t.is(await agent.metric('netgraft_store_synced', {store: 'kubernetes', resource: 'pairpods'}), 0)
  // A kind that is not there is no error.
  t.is(await agent.metric('netgraft_api_errors_total', {resource: 'pairpods'}), undefined)
  createDefinitions(cluster.api)
  await cluster.told(x, 'waiting in1 peer')
  await waiting(cluster, 'a', 'peer', 1)
  await waiting(cluster, 'a', 'store', 0)
  await lively(t, cluster, ['a'])
  await shows(cluster, 'a', 'netgraft_store_sign_of_life', {store: 'kubernetes'}, 1)
  await cluster.stop(x)
})

test('each part that is not ready is told, and when it is', async t => {
  const node = await startNode(t, {nodes: [SELF], start: false})
  await node.api.faults.down()
  node.agent.start()
  const ready = (condition: string) => node.agent.metric('netgraft_ready', {condition})
  await node.until(async () => (await ready('cni')) === 1)
  t.is(await ready('nodes'), 0)
  t.is(await ready('network default'), 0)
  t.false(await node.agent.ready())
  await node.api.faults.up()
  await node.until(async () => (await ready('network default')) === 1)
  await node.until(() => node.agent.ready())
  for (const part of ['kernel', 'nodes', 'forwarding', 'cni', 'network default']) t.is(await ready(part), 1, part)
})
