/** The agent's process is replaced under running pods: nothing is lost, no request fails. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {bridgeConf} from '../agent/support/networks.ts'
import {type Agent, built} from '../agent/support/node.ts'
import {type Cluster, startCluster} from '../agent/support/pairs.ts'
import {anotherBuild, echo, flows, losses, requests, serving, temporary} from './support.ts'

test.before(built)

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'

/** One agent in the place of the other, on each node. Resolves with who runs then. */
type Life = (cluster: Cluster, agents: ReadonlyMap<string, Agent>, next: Agent['bundle']) => Promise<Map<string, Agent>>

/** Milliseconds. The plugin waits for ten seconds; a machine that lets nobody run for so long is not to be blamed on agents. */
const LONG_MS = 8000
let longestMs = 0

const perNode = async (
  cluster: Cluster,
  agents: ReadonlyMap<string, Agent>,
  replace: (name: string, old: Agent) => Promise<readonly [Agent, since: number]>,
): Promise<Map<string, Agent>> => {
  const next = new Map<string, Agent>()
  await Promise.all(
    [...agents].map(async ([name, old]) => {
      const [agent, since] = await replace(name, old)
      await serving(cluster.at(name).node, agent)
      longestMs = Math.max(longestMs, performance.now() - since)
      await cluster.at(name).node.until(() => agent.ready())
      next.set(name, agent)
    }),
  )
  return next
}

const successor = (cluster: Cluster, name: string, bundle: string): Agent => {
  const agent = cluster.at(name).node.secondAgent()
  agent.bundle = bundle
  return agent
}

const oneAfterTheOther =
  (signal: 'SIGTERM' | 'SIGKILL'): Life =>
  (cluster, agents, bundle) =>
    perNode(cluster, agents, async (name, old) => {
      const since = performance.now()
      await old.kill(signal)
      const agent = successor(cluster, name, bundle)
      agent.start()
      return [agent, since]
    })

/** The new one begins while the old one is at work. */
const overlapping =
  (signal: 'SIGTERM' | 'SIGKILL'): Life =>
  (cluster, agents, bundle) =>
    perNode(cluster, agents, async (name, old) => {
      const agent = successor(cluster, name, bundle)
      agent.start()
      await cluster.at(name).node.until(() => agent.logs.some(({msg}) => msg === 'starting'))
      await cluster.at(name).node.until(() => agent.logs.some(({msg}) => msg === 'listed'))
      const since = performance.now()
      await old.kill(signal)
      return [agent, since]
    })

const LIVES: readonly (readonly [what: string, life: Life])[] = [
  ['ended, then the next', oneAfterTheOther('SIGTERM')],
  ['killed, then the next', oneAfterTheOther('SIGKILL')],
  ['ended while the next is there', overlapping('SIGTERM')],
  ['killed while the next is there', overlapping('SIGKILL')],
]

async function replaced(t: ExecutionContext, backend: 'direct' | 'vxlan'): Promise<void> {
  t.timeout(600_000)
  const cluster = await startCluster(t, {config: {networks: [{backend}], pairs: {enabled: true}}})
  const [a, b] = [cluster.at('a'), cluster.at('b')]
  const leases = temporary(t)
  const ipam = {type: 'host-local', dataDir: leases, ranges: [[{subnet: '10.97.1.0/24'}]]}
  for (const name of ['green', 'blue']) a.define(name, bridgeConf(name, '10.97.1.0/24', {ipam, bridge: `ng-${name}`}))

  const end = (peer: string, ip: string) => ({peer, interface: 'pair', ips: [ip]})
  const x = await cluster.start('a', 'x', {pairs: [end('z', '10.98.0.1/24')]})
  const y = await cluster.start('a', 'y')
  const z = await cluster.start('b', 'z', {pairs: [end('x', '10.98.0.2/24')]})
  for (const pod of [x, y]) a.annotate(pod, {[NETWORKS]: 'green'})
  const [green] = await Promise.all(
    [x, y]
      .map(async pod => {
        await a.node.until(() => a.interfaces(pod).some(each => each.startsWith('net1 10.97.1.')))
        return a
          .interfaces(pod)
          .find(each => each.startsWith('net1'))!
          .split(/[ /]/)[1]!
      })
      .reverse(),
  )
  await cluster.told(x, 'up pair vxlan')
  await cluster.told(z, 'up pair vxlan')
  await cluster.reaches(x, '10.98.0.2')
  await echo(t, y)
  await echo(t, z)
  const family = (wanted: 4 | 6) =>
    z.result.ips.map(({address}) => address.split('/')[0]!).find(ip => ip.includes(':') === (wanted === 6))!
  for (const address of [family(4), family(6)]) await cluster.reaches(x, address)
  const addresses = [family(4), family(6), '10.98.0.2', green!]
  await cluster.reaches(x, green!)

  const builds = [anotherBuild(t), anotherBuild(t, '0.2.0-other')]
  let agents: ReadonlyMap<string, Agent> = new Map([...cluster.nodes].map(([name, {node}]) => [name, node.agent]))
  for (const [round, [what, life]] of LIVES.entries()) {
    longestMs = 0
    const traffic = await flows(t, x, addresses)
    const asked = await Promise.all([requests(a), requests(b)])
    agents = await life(cluster, agents, builds[round % builds.length]!)
    const outcomes = await Promise.all(asked.map(over => over()))
    for (const {failed: all, done} of outcomes) {
      const failed = all.filter(each => longestMs < LONG_MS || !each.includes('does not answer'))
      t.deepEqual(failed, [], what)
      t.true(done > 0, what)
    }
    const sums = await traffic()
    t.deepEqual(losses(sums), [], what)
    t.log(
      `${what}, ${Math.round(longestMs)} ms away: ${sums.reduce((sum, {sent}) => sum + sent, 0)} sent, ${outcomes.map(({done}) => done).join(' and ')} requests`,
    )
  }
  const versions = [...agents.values()].map(({logs}) => logs.find(({msg}) => msg === 'starting')?.version)
  t.deepEqual(versions, ['0.2.0-other', '0.2.0-other'])

  // What is asked for while nobody is there is done by the next one.
  await Promise.all([...agents.values()].map(agent => agent.kill('SIGTERM')))
  a.annotate(y, {[NETWORKS]: 'blue'})
  cluster.declare(x, undefined)
  cluster.declare(z, undefined)
  const last = new Map<string, Agent>()
  for (const name of agents.keys()) {
    const agent = successor(cluster, name, builds[0]!)
    agent.start()
    last.set(name, agent)
  }
  const bridgeOf = () => a.node.namespace.json('link', 'show').filter(({master}) => master === 'ng-blue').length
  await a.node.until(
    () => bridgeOf() === 1 && cluster.link(x, 'pair') === undefined && cluster.link(z, 'pair') === undefined,
  )
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
  for (const agent of last.values()) t.is(await agent.kill('SIGTERM'), 0)
}

for (const backend of ['direct', 'vxlan'] as const)
  test.serial(
    `agents are replaced under traffic over ${backend} routes, a bridge network and a pair, and under requests`,
    t => replaced(t, backend),
  )
