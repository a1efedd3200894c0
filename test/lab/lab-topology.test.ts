/** Labs of several subnets: the real agents find the ways between them, direct or through tunnels. */
import {spawnSync} from 'node:child_process'
import test, {type ExecutionContext} from 'ava'
import {check} from '../../src/lab/check.ts'
import {type Lab, type LabOptions, startLab} from '../../src/lab/lab.ts'
import {LabCommand, leftOvers, until} from './support-lab.ts'

async function labOf(t: ExecutionContext, options: Omit<LabOptions, 'signal' | 'podsPerNode'>): Promise<Lab> {
  const lab = await startLab({...options, podsPerNode: 1, signal: new AbortController().signal})
  t.teardown(() => lab.stop())
  return lab
}

/** As `ip route` has them in the router, without what each bridge's link-local addresses bring. */
function routerRoutes({plan}: Lab, family: '-4' | '-6'): string[] {
  const {stdout} = spawnSync('ip', ['-n', plan.wire, family, 'route'], {encoding: 'utf8'})
  const lines = stdout.trim().split('\n')
  return lines.filter(line => !line.startsWith('fe80:')).map(line => line.replace(/ proto .*/, ''))
}

/** By node. A tunnel's IPv6 gateway follows from its MAC, which is another one each time. */
function ways({nodes}: Lab): Record<string, string> {
  const texts = nodes.map(({name, routes}) => {
    const own = [...routes].map(([route, way]) => `${way}: ${route.replace(/via fe80::\S+/, 'via its own')}`)
    return [name, own.sort().join('\n')]
  })
  return Object.fromEntries(texts)
}

async function allIsWell(t: ExecutionContext, lab: Lab): Promise<void> {
  const {failures, summary} = await check(lab)
  t.deepEqual(failures, [], summary)
}

async function removed(t: ExecutionContext, lab: Lab): Promise<void> {
  await lab.stop()
  t.deepEqual(await leftOvers(lab.id, lab.folder), [])
}

test('mixed: direct on the subnet, through the tunnel beyond, and the router knows no pods', async t => {
  const lab = await labOf(t, {nodes: 3, family: 'dual', topology: 'mixed'})
  await allIsWell(t, lab)
  t.deepEqual(ways(lab), {
    n1: `direct: 10.244.2.0/24 via 192.168.101.2
direct: fd00:244:2::/64 via fd00:101::2
vxlan: 10.244.3.0/24 via 192.168.102.3 dev ng-vx0
vxlan: fd00:244:3::/64 via its own dev ng-vx0-6`,
    n2: `direct: 10.244.1.0/24 via 192.168.101.1
direct: fd00:244:1::/64 via fd00:101::1
vxlan: 10.244.3.0/24 via 192.168.102.3 dev ng-vx0
vxlan: fd00:244:3::/64 via its own dev ng-vx0-6`,
    n3: `vxlan: 10.244.1.0/24 via 192.168.101.1 dev ng-vx0
vxlan: 10.244.2.0/24 via 192.168.101.2 dev ng-vx0
vxlan: fd00:244:1::/64 via its own dev ng-vx0-6
vxlan: fd00:244:2::/64 via its own dev ng-vx0-6`,
  })
  t.deepEqual(routerRoutes(lab, '-4'), ['192.168.101.0/24 dev br101', '192.168.102.0/24 dev br102'])
  t.deepEqual(routerRoutes(lab, '-6'), ['fd00:101::/64 dev br101', 'fd00:102::/64 dev br102'])
  await removed(t, lab)
})

for (const [family, want] of [
  ['4', 'vxlan: 10.244.2.0/24 via 192.168.102.2 dev ng-vx0'],
  ['6', 'vxlan: fd00:244:2::/64 via its own dev ng-vx0-6'],
] as const)
  test(`l3, IPv${family} alone: everything goes through the tunnel`, async t => {
    const lab = await labOf(t, {nodes: 2, family, topology: 'l3'})
    await allIsWell(t, lab)
    t.is(ways(lab).n1, want)
    await removed(t, lab)
  })

test('--l3 --once says so in a line', async t => {
  const lab = new LabCommand(t, ['--nodes', '3', '--pods', '1', '--l3', '--no-attachments', '--no-pairs', '--once'])
  const id = await lab.id()
  t.is(await lab.end(), 0, lab.errors)
  t.regex(lab.output, /^3 nodes, 3 pods: 12 of 12 pings answered .*, 4 routes on every node \(vxlan\); .*cleaned up$/m)
  t.deepEqual(await lab.leftOvers(id), [])
})

test('l2, told to tunnel: no route is direct', async t => {
  const lab = await labOf(t, {nodes: 2, family: '4', backend: 'vxlan'})
  await allIsWell(t, lab)
  t.is(ways(lab).n1, 'vxlan: 10.244.2.0/24 via 192.168.100.2 dev ng-vx0')
})

test('mixed, told not to tunnel: no route is missed that cannot be', async t => {
  const lab = await labOf(t, {nodes: 3, family: '4', topology: 'mixed', backend: 'direct'})
  await until(() => lab.nodes[1]!.routes.size === 1, 'the route of n2')
  t.deepEqual(
    lab.nodes.map(({name}) => lab.expectedRoutes(name)),
    [1, 1, 0],
  )
  await lab.ready()
  const silent = (await lab.pingAll()).filter(({ms}) => ms === undefined)
  t.deepEqual(silent.map(({from, to}) => `${from.node} ${to.node}`).sort(), ['n1 n3', 'n2 n3', 'n3 n1', 'n3 n2'])
})
