/** The configuration changes with a rollout: running pods stay reachable, and nothing of the old one is left. Needs root. */
import {existsSync, readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {reaches} from '../agent/support/cni.ts'
import {built, startNode, VTEP} from '../agent/support/node.ts'
import {type Cluster, type ClusterOptions, type PairedPod, startCluster} from '../agent/support/pairs.ts'
import {echo, flows, losses} from './support.ts'

test.before(built)

type Change = Readonly<Record<string, unknown>>

/** One node after the other gets the configuration and an agent that reads it. */
async function rollout(cluster: Cluster, config: Change): Promise<void> {
  for (const name of cluster.nodes.keys()) await reconfigure(cluster, name, config)
}

async function reconfigure(cluster: Cluster, name: string, config: Change): Promise<void> {
  const {node, runtime} = cluster.at(name)
  await node.agent.stop()
  node.configure(config)
  node.agent.start()
  await runtime.serving()
}

/** One pod on each node, which reach each other. */
async function podsOf(cluster: Cluster): Promise<[PairedPod, PairedPod]> {
  const [x, y] = [await cluster.start('a', 'x'), await cluster.start('b', 'y')]
  await reach(cluster, x, y)
  return [x, y]
}

const ipsOf = ({result}: PairedPod): string[] => result.ips.map(({address}) => address.split('/')[0]!)

async function reach(cluster: Cluster, from: PairedPod, to: PairedPod): Promise<void> {
  for (const ip of ipsOf(to))
    await cluster.until(() => reaches(from.namespace, ip), `${from.name} reaches ${to.name} at ${ip}`)
}

const start = (t: Parameters<typeof startCluster>[0], config: Change, more: ClusterOptions = {}): Promise<Cluster> =>
  startCluster(t, {...more, config: {pairs: {enabled: false}, attachments: {enabled: false}, ...config}})

const only = (networks: readonly object[], more: Change = {}): Change => ({
  pairs: {enabled: false},
  attachments: {enabled: false},
  networks,
  ...more,
})

/** All routes with the mark, and without the way they lead. */
const marked = async (cluster: Cluster, node: string, protocol: number): Promise<string[]> => {
  const all = await Promise.all(([4, 6] as const).map(family => cluster.at(node).node.allRoutes(family)))
  return all.flat().filter(line => line.includes(` proto ${protocol} `))
}

for (const backend of ['direct', 'vxlan'] as const)
  test.serial(
    `another protocol number: routes over ${backend} get it where they stand, and no packet is lost`,
    async t => {
      t.timeout(180_000)
      const cluster = await start(t, {networks: [{backend}]})
      const [x, y] = await podsOf(cluster)
      await echo(t, y)
      const before = await marked(cluster, 'a', 107)
      t.true(before.length > 0)
      for (const protocol of [111, 112]) {
        const traffic = await flows(t, x, ipsOf(y))
        await rollout(cluster, only([{backend, protocol}]))
        t.deepEqual(losses(await traffic()), [])
        for (const node of ['a', 'b'])
          for (const old of [107, 111, 112].filter(each => each !== protocol))
            t.deepEqual(await marked(cluster, node, old), [])
        t.deepEqual(
          (await marked(cluster, 'a', protocol)).map(line => line.replace(`proto ${protocol}`, 'proto 107')).sort(),
          before.toSorted(),
        )
      }
      await reach(cluster, y, x)
      const file = join(cluster.at('a').node.agent.state, 'networks.json')
      t.is(readFileSync(file, 'utf8'), '{"version":1,"networks":[{"name":"default","protocol":112}]}\n')
    },
  )

test.serial('a network that is taken from the configuration leaves no route, no tunnel and no annotation', async t => {
  t.timeout(180_000)
  const second = {name: 'second', backend: 'vxlan', protocol: 110, vxlan: {vni: 2, port: 8474, device: 'ng-vx1'}}
  const node = await startNode(t, {config: only([{backend: 'direct'}, second])})
  node.put('b 10.64.2.0/24 via 192.168.0.2')
  const annotation = () =>
    node.api.get({resource: 'nodes', name: 'a'})?.metadata.annotations?.['netgraft.dev/vtep-second']
  await node.until(annotation)
  await node.until(async () => (await node.ip('link show')).includes('ng-vx1'))
  await node.agent.stop()
  node.configure(only([{backend: 'direct'}]))
  node.agent.start()
  await node.until(() => node.agent.ready())
  await node.has('10.64.2.0/24 via 192.168.0.2')
  t.false((await node.ip('link show')).includes('ng-vx1'))
  for (const family of [4, 6] as const)
    t.deepEqual(
      (await node.allRoutes(family)).filter(line => line.includes('proto 110')),
      [],
    )
  await node.until(() => annotation() === undefined)
  t.true(existsSync(join(node.agent.state, 'networks.json')))
})

test.serial('a network that has another name has its tunnels under it; without tunnels they go', async t => {
  t.timeout(180_000)
  const node = await startNode(t, {config: only([{backend: 'vxlan'}])})
  const links = async () => (await node.tunnels()).filter(line => line.startsWith('link'))
  await node.until(async () => (await links()).length === 2)
  for (const [backend, count] of [
    ['vxlan', 2],
    ['direct', 0],
  ] as const) {
    await node.agent.stop()
    node.configure(only([{backend, name: `of-${backend}`}]))
    node.agent.start()
    await node.until(() => node.agent.ready())
    await node.until(async () => {
      const have = await links()
      return have.length === count && have.every(line => line.includes(`network of-${backend},`))
    })
  }
  t.is(readFileSync(join(node.agent.state, 'networks.json'), 'utf8').match(/"name"/g)!.length, 1)
})

test.serial('from tunnels to routes and back: no tunnel is left, and pods reach each other', async t => {
  t.timeout(180_000)
  const cluster = await start(t, {networks: [{backend: 'vxlan'}]})
  const [x, y] = await podsOf(cluster)
  const tunnels = async () => (await cluster.at('a').node.tunnels()).filter(line => line.startsWith('link'))
  const published = () => cluster.at('a').node.published()
  t.is((await tunnels()).length, 2)
  for (const backend of ['direct', 'auto', 'none', 'vxlan', 'auto']) {
    await rollout(cluster, only([{backend}]))
    if (backend === 'none') {
      await cluster.until(async () => (await cluster.at('a').node.routes()).length === 0, 'no route to a peer is left')
      t.deepEqual(await tunnels(), [])
      continue
    }
    await reach(cluster, x, y)
    await reach(cluster, y, x)
    if (backend === 'direct') {
      t.deepEqual(await tunnels(), [])
      await cluster.until(() => published() === undefined, `${VTEP} is gone`)
    }
  }
})

test.serial(
  'another VNI, port or device: between nodes that differ nothing goes, and that is told; then all is well',
  async t => {
    t.timeout(180_000)
    const cluster = await start(t, {networks: [{backend: 'vxlan'}]})
    const [x, y] = await podsOf(cluster)
    const next = only([{backend: 'vxlan', vxlan: {vni: 7, port: 8475, device: 'ng-other'}}])
    await reconfigure(cluster, 'a', next)
    await cluster.at('a').node.says('its tunnel has the vni 1, and ours 7')
    await cluster.at('b').node.says('its tunnel has the vni 7, and ours 1')
    await reconfigure(cluster, 'b', next)
    await reach(cluster, x, y)
    await reach(cluster, y, x)
    for (const {node} of cluster.nodes.values())
      t.deepEqual(
        (await node.tunnels()).filter(line => line.startsWith('link')).map(line => line.split(' ')[1]),
        ['ng-other', 'ng-other-6'],
      )
  },
)

test.serial(
  'another mode of pods: those that run keep theirs, and what does not work until they are made anew is told',
  async t => {
    t.timeout(180_000)
    const cluster = await start(t, {networks: [{backend: 'direct'}]})
    const [x, y] = await podsOf(cluster)
    const told = 'pods of this node have been started with another networks[].pods.mode'
    await rollout(cluster, only([{backend: 'direct', pods: {mode: 'bridge'}}]))
    for (const {node} of cluster.nodes.values()) await node.says(told)
    const later = await cluster.start('a', 'later')
    for (const [from, to] of [
      [x, y],
      [later, y],
    ] as const) {
      await reach(cluster, from, to)
      await reach(cluster, to, from)
    }
    await cluster.at('a').runtime.succeeds('CHECK', x, {config: {prevResult: x.result}})
    await rollout(cluster, only([{backend: 'direct'}]))
    await cluster.at('a').node.says(told)
    const last = await cluster.start('a', 'last')
    for (const [from, to] of [
      [x, y],
      [later, y],
      [last, y],
      [last, x],
    ] as const) {
      await reach(cluster, from, to)
      await reach(cluster, to, from)
    }
    for (const pod of [x, y, later, last]) await cluster.stop(pod)
    for (const {runtime} of cluster.nodes.values()) await runtime.clean()
  },
)

test.serial(
  'another state folder: addresses of pods that nothing is known of are not given out again, and that is told',
  async t => {
    t.timeout(180_000)
    const cluster = await start(t, {networks: [{backend: 'direct'}]})
    const [x, y] = await podsOf(cluster)
    const {node, runtime} = cluster.at('a')
    const {state} = node.agent
    await reconfigure(
      cluster,
      'a',
      only([{backend: 'direct'}], {folders: {state: `${state}.other`, run: `${state}.run`}}),
    )
    t.teardown(() => rmSync(`${state}.other`, {recursive: true, force: true}))
    await node.says('pods stand that the journal does not know')
    const later = await cluster.start('a', 'later')
    t.false(ipsOf(later).some(ip => ipsOf(x).includes(ip)))
    await reach(cluster, x, y)
    await reach(cluster, later, x)
    for (const pod of [x, y, later]) await cluster.stop(pod)
    await node.until(async () => !(await node.ip('link show')).includes('veth'))
    t.is((await runtime.call('DEL', x)).status, 0)
  },
)
