/** Pairs of pods whose nodes share an etcd: the whole way, and what becomes of them while etcd is in trouble. Needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {type EtcdPeer, PREFIX, startEtcdPeer} from './support/etcd.ts'
import {makePki} from './support/etcd-tls.ts'
import {built} from './support/node.ts'
import {type Cluster, type PairedPod, startCluster} from './support/pairs.ts'

test.before(built)

const end = (peer: string, ifname: string, ip: string) => ({peer, interface: ifname, ips: [ip]})

/** Waits until nothing of a pair is left in etcd. */
async function empty(cluster: Cluster, etcd: EtcdPeer): Promise<void> {
  let keys: string[] = []
  await cluster.until(
    async () => {
      keys = await etcd.keys()
      return keys.length === 0
    },
    () => `nothing is left in etcd: there is ${keys.join(', ')}`,
  )
}

async function stopAll(t: ExecutionContext, cluster: Cluster, etcd: EtcdPeer, pods: PairedPod[]): Promise<void> {
  for (const pod of pods) await cluster.stop(pod)
  await empty(cluster, etcd)
  for (const {node} of cluster.nodes.values()) t.is(node.agent.stderr, '')
}

test.serial('on one node and on two, and nothing is left', async t => {
  const etcd = await startEtcdPeer(t)
  const cluster = await startCluster(t, {etcd})
  const x = await cluster.start('a', 'x', {
    pairs: [end('y', 'in1', '192.168.2.1/24'), end('z', 'in2', '192.168.3.1/24')],
  })
  await cluster.told(x, 'waiting in1 peer', 'waiting in2 peer')
  const y = await cluster.start('a', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
  await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
  await cluster.told(z, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.2.2')
  await cluster.reaches(x, '192.168.3.2')
  const vni = cluster.status(x)[1]!.vni!
  await cluster.until(async () => (await etcd.keys()).length === 6)
  const keys = await etcd.keys()
  t.deepEqual(
    keys.filter(key => !key.startsWith('pairs/')),
    ['pairpods/default/x', 'pairpods/default/y', 'pairpods/default/z', `vnis/${vni}`],
  )
  cluster.declare(x, [end('y', 'in1', '192.168.2.1/24')])
  cluster.declare(z, undefined)
  await cluster.told(x, 'up in1 veth')
  await cluster.told(z)
  await cluster.until(async () => !(await etcd.keys()).includes(`vnis/${vni}`), 'the VNI is given back')
  await stopAll(t, cluster, etcd, [x, y, z])
  const owners = await etcd.client.getAll().prefix(`${PREFIX}/owners/`).keys()
  t.deepEqual(owners.sort(), [`${PREFIX}/owners/a`, `${PREFIX}/owners/b`])
})

test.serial(
  'etcd is cut off: what stands goes on, one node needs none, and the rest comes when it is back',
  async t => {
    const etcd = await startEtcdPeer(t)
    const cluster = await startCluster(t, {etcd, config: {pairs: {aliveSeconds: 5}}})
    const x = await cluster.start('a', 'x', {
      pairs: [end('y', 'in1', '192.168.2.1/24'), end('z', 'in2', '192.168.3.1/24')],
    })
    const y = await cluster.start('a', 'y')
    const z = await cluster.start('b', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
    await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
    await cluster.reaches(x, '192.168.3.2')
    const indexes = () => ['in1', 'in2'].map(name => x.namespace.index(name))
    const before = indexes()
    etcd.cut()
    const v = await cluster.start('a', 'v', {
      pairs: [end('x', 'in1', '192.168.4.2/24'), end('w', 'in2', '192.168.5.2/24')],
    })
    const w = await cluster.start('b', 'w', {pairs: [end('v', 'in1', '192.168.5.3/24')]})
    cluster.declare(x, [
      end('y', 'in1', '192.168.2.1/24'),
      end('z', 'in2', '192.168.3.1/24'),
      end('v', 'in3', '192.168.4.1/24'),
    ])
    await cluster.told(x, 'up in1 veth', 'up in2 vxlan', 'up in3 veth')
    await cluster.told(v, 'up in1 veth', 'waiting in2 peer')
    await cluster.told(w, 'waiting in1 peer')
    await cluster.reaches(x, '192.168.4.2')
    // Longer than signs of life last, and what was to be watched from is forgotten.
    for (let i = 0; i < 5; i++) await etcd.client.put('x').value(`${i}`)
    await etcd.compact()
    await sleep(7000)
    t.true(cluster.pings(x, '192.168.3.2'))
    t.deepEqual(indexes(), before)
    etcd.mend()
    await cluster.told(v, 'up in1 veth', 'up in2 vxlan')
    await cluster.told(w, 'up in1 vxlan')
    await cluster.reaches(v, '192.168.5.3')
    await cluster.told(x, 'up in1 veth', 'up in2 vxlan', 'up in3 veth')
    t.deepEqual(indexes(), before)
    // Only one node is cut off: the other one takes it for dead, and leaves what stands.
    etcd.cut('b')
    await cluster.told(v, 'up in1 veth', 'waiting in2 node')
    t.true(cluster.pings(v, '192.168.5.3'))
    t.deepEqual(indexes(), before)
    etcd.mend('b')
    await cluster.told(v, 'up in1 veth', 'up in2 vxlan')
    await stopAll(t, cluster, etcd, [x, y, z, v, w])
  },
)

test.serial('etcd comes back with an empty data folder: all is told anew, and no two pairs share a number', async t => {
  const etcd = await startEtcdPeer(t)
  const cluster = await startCluster(t, {
    etcd,
    nodes: ['a', 'b', 'c'],
    config: {pairs: {aliveSeconds: 5, vnis: {from: 7, to: 9}}},
  })
  const x = await cluster.start('a', 'x', {
    pairs: [1, 2, 3].map(n => end(n === 3 ? 'z' : `y${n}`, `in${n}`, `192.168.${n}.1/24`)),
  })
  const y1 = await cluster.start('b', 'y1', {pairs: [end('x', 'in1', '192.168.1.2/24')]})
  const y2 = await cluster.start('b', 'y2', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  const z = await cluster.start('c', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
  const w = await cluster.start('b', 'w', {pairs: [end('y1', 'in2', '192.168.4.2/24')]})
  const all = ['up in1 vxlan', 'up in2 vxlan', 'up in3 vxlan']
  const whole = async () => {
    const wanted = [
      ...['w', 'x', 'y1', 'y2', 'z'].map(name => `pairpods/default/${name}`),
      ...[7, 8, 9].map(n => `vnis/${n}`),
    ]
    let keys: string[] = []
    await cluster.until(
      async () => {
        keys = (await etcd.keys()).filter(key => !key.startsWith('pairs/'))
        return keys.join() === wanted.join()
      },
      () => `etcd has ${keys}`,
    )
    await cluster.told(x, ...all)
    await cluster.told(y1, 'up in1 vxlan', 'up in2 veth')
    await cluster.told(y2, 'up in1 vxlan')
    await cluster.told(z, 'up in1 vxlan')
    const numbers = () => cluster.status(x).map(({vni}) => vni)
    const others = () => [y1, y2, z].map(pod => cluster.status(pod)[0]!.vni)
    await cluster.until(
      () => new Set(numbers()).size === 3 && numbers().join() === others().join(),
      () => `one number for each: there are ${numbers()} and ${others()}`,
    )
    for (const n of [1, 2, 3]) await cluster.reaches(x, `192.168.${n}.2`)
  }
  await whole()
  const veth = y1.namespace.index('in2')
  for (let round = 0; round < 2; round++) {
    await etcd.replace()
    etcd.cut()
    etcd.mend()
    await cluster.until(async () => (await etcd.keys()).filter(key => key.startsWith('vnis/')).length === 3)
    await whole()
    t.is(y1.namespace.index('in2'), veth)
  }
  // One of them has not been there, and does not know.
  await cluster.at('b').node.agent.kill()
  await etcd.replace()
  etcd.cut()
  etcd.mend()
  await cluster.until(async () => (await etcd.keys()).includes('pairpods/default/x'))
  cluster.at('b').node.agent.start()
  await cluster.until(async () => (await etcd.keys()).filter(key => key.startsWith('vnis/')).length === 3)
  await whole()
  t.is(y1.namespace.index('in2'), veth)
  await stopAll(t, cluster, etcd, [x, y1, y2, z, w])
})

test.serial("strangers' keys under the prefix are told of once, and disturb nothing", async t => {
  const etcd = await startEtcdPeer(t)
  const cluster = await startCluster(t, {etcd})
  const value = (of: object) => JSON.stringify({spec: of})
  const pod = {namespace: 'default', pod: 'x', uid: 'u', createdAt: 1, node: 'z', underlay: {}, declarations: []}
  const strange: readonly (readonly [string, string | Buffer])[] = [
    ['pairpods/default/x', '{"spec":'],
    ['pairpods/default/x2', Buffer.from([0xff, 0, 0xfe, 10])],
    [
      'pairpods/default/x3',
      value({...pod, pod: 'x3', declarations: [{by: 'annotation', peer: 'a/b', interface: '../x'}]}),
    ],
    ['pairpods/default/other', value({...pod, createdAt: 'now'})],
    ['pairpods/none', value(pod)],
    ['pairpods/default/x/y', value(pod)],
    ['pairpods/default/list', '[]'],
    ['pairpods/default/__proto__', value(pod)],
    ['vnis/0', value({pair: 'default/p', node: 'a'})],
    ['vnis/16777216', value({pair: 'default/p', node: 'a'})],
    ['vnis/x', value({pair: 'default/p', node: 'a'})],
    ['vnis/5', value({pair: 'no-slash', node: 'a'})],
    ['vnis/6', ''],
    ['pairs/default/x', 'text'],
    ['pairs/default/y', value({ends: 7})],
    ['owners/a/b', 'i'],
    ['owners/none', ''],
    ['strange/default/x', 'i'],
  ]
  const put = async () => {
    for (const [key, text] of strange) await etcd.client.put(`${PREFIX}/${key}`).value(text)
  }
  await put()
  const x2 = await cluster.start('a', 'x2', {pairs: [end('y', 'in1', '192.168.2.1/24')]})
  const y = await cluster.start('a', 'y', {
    pairs: [end('x2', 'in1', '192.168.2.2/24'), end('z', 'in2', '192.168.3.1/24')],
  })
  const z = await cluster.start('b', 'z', {pairs: [end('y', 'in1', '192.168.3.2/24')]})
  // x2's own key is somebody else's: only other nodes do not hear of it.
  await cluster.told(x2, 'up in1 veth', 'failed')
  await cluster.says(x2, /"default\/x2" of pairpods cannot be used, .*: remove or mend it/)
  await cluster.told(y, 'up in1 veth', 'up in2 vxlan')
  await cluster.told(z, 'up in1 vxlan')
  await cluster.reaches(y, '192.168.3.2')
  const {agent} = cluster.at('a').node
  await cluster.at('a').node.says('cannot be told to the other nodes', 'default/x2')
  const untold = () => agent.logs.filter(({msg}) => msg.includes('cannot be used, and is left alone'))
  const first = untold()
  t.log(first.map(({what, key, reason}) => `${what} ${key}: ${reason}`).join('\n'))
  await put()
  etcd.cut()
  etcd.mend()
  const w = await cluster.start('b', 'w', {pairs: [end('y', 'in3', '192.168.4.2/24')]})
  await cluster.told(w, 'up in3 vxlan')
  await cluster.told(y, 'up in1 veth', 'up in2 vxlan', 'up in3 vxlan')
  const told = untold().map(({what, key}) => `${what} ${key}`)
  t.is(new Set(told).size, told.length)
  await etcd.client.delete().key(`${PREFIX}/pairpods/default/x2`)
  await cluster.told(x2, 'up in1 veth')
  const v = await cluster.start('b', 'v', {pairs: [end('x2', 'in2', '192.168.5.2/24')]})
  await cluster.told(v, 'up in2 vxlan')
  // What had been told is lost with that, until the stranger's is removed.
  await etcd.client.put(`${PREFIX}/pairpods/default/z`).value('{')
  await cluster.told(y, 'up in1 veth', 'waiting in2 peer', 'up in3 vxlan')
  await cluster.says(z, /^failed : .*"default\/z" of pairpods cannot be used/)
  await etcd.client.delete().key(`${PREFIX}/pairpods/default/z`)
  await cluster.told(y, 'up in1 veth', 'up in2 vxlan', 'up in3 vxlan')
  await cluster.told(z, 'up in1 vxlan')
  for (const each of [x2, y, z, w, v]) await cluster.stop(each)
  const left = strange.map(([key]) => key).filter(key => !key.startsWith('owners/') && key !== 'pairpods/default/x2')
  await cluster.until(async () => (await etcd.keys()).join() === left.sort().join())
  t.deepEqual(await etcd.keys(), left)
})

test.serial('TLS with certificates on both sides, and a user with a password', async t => {
  const login = {user: 'netgraft', password: 'right'}
  const etcd = await startEtcdPeer(t, {pki: await makePki(t), login})
  const cluster = await startCluster(t, {etcd})
  const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1', '192.168.2.1/24')]})
  const y = await cluster.start('b', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.2.2')
  for (const {node} of cluster.nodes.values()) {
    t.false(JSON.stringify(node.agent.logs).includes(login.password))
    await node.agent.restart()
  }
  await cluster.at('b').runtime.serving()
  await stopAll(t, cluster, etcd, [x, y])
})
