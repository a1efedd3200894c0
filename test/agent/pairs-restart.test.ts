/** Agents that end and are started anew: pairs that stand go on without losing a packet, and nothing is written. Needs root. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {built} from './support/node.ts'
import {type Cluster, type PairedPod, STATUS, startCluster} from './support/pairs.ts'
import {listen} from './support/pairs-listen.ts'

test.before(built)

const end = (peer: string, ip: string, more: object = {}) => ({peer, interface: `to-${peer}`, ips: [ip], ...more})

/** x and y on a, z on b, all three paired. */
async function triangle(cluster: Cluster): Promise<PairedPod[]> {
  const x = await cluster.start('a', 'x', {
    pairs: [
      end('y', '192.168.2.1/24'),
      end('z', 'fd00:3::1/64', {peerInterface: 'to-x', routes: [{dst: '10.99.0.0/16'}], mtu: 1400}),
    ],
  })
  const y = await cluster.start('a', 'y', {pairs: [end('x', '192.168.2.2/24'), end('z', '192.168.4.1/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('x', 'fd00:3::2/64'), end('y', '192.168.4.2/24')]})
  await cluster.told(x, 'up to-y veth', 'up to-z vxlan')
  await cluster.told(y, 'up to-x veth', 'up to-z vxlan')
  await cluster.told(z, 'up to-x vxlan', 'up to-y vxlan')
  for (const [pod, address] of [
    [x, '192.168.2.2'],
    [x, 'fd00:3::2'],
    [z, '192.168.4.1'],
  ] as const)
    await cluster.reaches(pod, address)
  return [x, y, z]
}

/** Requests that have changed something at the API server: all but the agents' signs of life, which go on. */
const writes = ({api}: Cluster): string[] =>
  api.requests
    .filter(({method, path}) => method !== 'GET' && !path.includes('/leases'))
    .map(({method, path}) => `${method} ${path}`)

/** All that is in the store, with revisions. */
const stored = ({api}: Cluster): unknown =>
  ['pairpods', 'vnis', 'pairs'].map(plural =>
    api.list(`${plural}.netgraft.dev`).map(({metadata, spec, status}) => ({metadata, spec, status})),
  )

/** An echo every 10 ms until the result is called: numbers of those that were not answered, and how many were. */
async function echoes(t: ExecutionContext, {namespace}: PairedPod, address: string) {
  const words = ['netns', 'exec', namespace.name, 'ping', '-n', '-i', '0.01', address]
  const child = spawn('ip', words, {stdio: ['ignore', 'pipe', 'ignore']})
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', more => {
    text += more
  })
  await once(child.stdout, 'data')
  return async () => {
    const over = once(child, 'close')
    child.kill('SIGINT')
    await over
    const answered = new Set([...text.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, n]) => Number(n)))
    const last = Math.max(...answered)
    const lost = Array.from({length: last}, (_, i) => i + 1).filter(n => !answered.has(n))
    return {lost, answered: answered.size}
  }
}

/** Until the kernel and the agents have come to rest: the kernel tells of carriers when it has the time. */
async function rests(t: ExecutionContext, cluster: Cluster, pods: readonly PairedPod[]): Promise<void> {
  for (let quiet = false; !quiet; ) {
    const inside = await Promise.all(pods.map(pod => listen(t, pod.namespace)))
    const written = writes(cluster).length
    await sleep(2500)
    quiet = inside.flatMap(heard => heard()).length === 0 && writes(cluster).length === written
  }
}

test('agents that are started anew lose no packet and write nothing', async t => {
  t.timeout(180_000)
  const cluster = await startCluster(t)
  const pods = await triangle(cluster)
  const [x, , z] = pods as [PairedPod, PairedPod, PairedPod]
  await rests(t, cluster, pods)
  const told = () => pods.map(pod => cluster.at(pod.node).object(pod)?.metadata.annotations?.[STATUS])
  const before = {told: told(), stored: stored(cluster)}
  const {faults} = cluster.api
  const agents = [...cluster.nodes.values()].map(({node}) => node.agent)
  const says = (words: string) => Promise.all([...cluster.nodes.values()].map(({node}) => node.says(words)))

  const kill = async (signal: 'SIGKILL' | 'SIGTERM') => {
    await Promise.all(agents.map(agent => agent.kill(signal)))
    for (const agent of agents) agent.start()
    await says('serving CNI requests')
  }
  const lives: readonly (readonly [what: string, life: () => Promise<void>])[] = [
    ['killed', () => kill('SIGKILL')],
    ['asked to end', () => kill('SIGTERM')],
    [
      'killed while the API server is away',
      async () => {
        await faults.down()
        await kill('SIGKILL')
        await says('the API server failed us')
        await sleep(1000)
        await faults.up()
      },
    ],
  ]
  for (const [what, life] of lives) {
    const inside = await Promise.all(pods.map(pod => listen(t, pod.namespace)))
    const hosts = await Promise.all([...cluster.nodes.values()].map(({node}) => node.monitor('link', 'address')))
    const written = writes(cluster).length
    const ways = await Promise.all([
      echoes(t, x, '192.168.2.2'),
      echoes(t, x, 'fd00:3::2'),
      echoes(t, z, '192.168.4.1'),
    ])
    await life()
    for (const {node} of cluster.nodes.values()) await node.until(() => node.agent.ready())
    // Everything has been looked at once more.
    await sleep(2000)
    for (const over of ways) {
      const {lost, answered} = await over()
      t.deepEqual(lost, [], what)
      t.true(answered > 100)
      t.log(`${what}: ${answered} answered, ${lost.length} lost`)
    }
    t.deepEqual(
      inside.flatMap(heard => heard()),
      [],
      what,
    )
    for (const heard of hosts) t.deepEqual(await heard(), [], what)
    t.deepEqual(writes(cluster).slice(written), [], what)
    t.deepEqual({told: told(), stored: stored(cluster)}, before, what)
  }
  // They see what happens from now on.
  await cluster.stop(z)
  await cluster.told(x, 'up to-y veth', 'waiting to-z peer')
  for (const pod of pods.slice(0, 2)) await cluster.stop(pod)
  await cluster.clean()
})
