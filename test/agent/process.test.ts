/** The agent as a process: its command line, its configuration, its HTTP server, its end. Needs root. */
import {writeFileSync} from 'node:fs'
import test from 'ava'
import {built, SELF, startNode} from './support/node.ts'

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const TO_B = ['10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2']

test.before(built)

test('a configuration with mistakes: all of them, with their places, and status 2', async t => {
  const node = await startNode(t, {start: false})
  const {agent} = node
  writeFileSync(
    agent.config,
    ['nod: a', 'networks:', '- name: Default', '  backend: dircet', 'kernel: {resyncSeconds: soon}', ''].join('\n'),
  )
  agent.start()
  t.is(await agent.ended(), 2)
  for (const [place, path] of [
    ['1:1', 'nod'],
    ['3:3', 'networks[0].name'],
    ['4:3', 'networks[0].backend'],
    ['5:10', 'kernel.resyncSeconds'],
  ])
    t.true(
      agent.stderr.includes(`${agent.config}:${place}`) && agent.stderr.includes(path!),
      `${place} ${path}: ${agent.stderr}`,
    )
  t.true(agent.stderr.includes('did you mean direct?'))
  agent.start('check-config', agent.config)
  t.is(await agent.ended(), 2)
})

test('what cannot be run says why', async t => {
  const node = await startNode(t, {start: false})
  const {agent} = node
  const cases: readonly [args: string[], status: number, words: string][] = [
    [
      ['agent', '--config', '/nowhere/netgraft.yaml'],
      2,
      '/nowhere/netgraft.yaml: cannot be read (no such file or directory)',
    ],
    [['agent'], 2, 'agent needs --config FILE'],
    [['agent', '--confg', agent.config], 2, '--confg'],
    [['agnet'], 2, 'there is no command "agnet"'],
    [['constructor'], 2, 'there is no command "constructor"'],
    [['check-config', agent.config, agent.config], 2, 'expected 1 argument'],
    [['check-config', agent.config], 0, ''],
    [['version'], 0, ''],
    [['help'], 0, ''],
  ]
  for (const [args, status, words] of cases) {
    agent.start(...args)
    t.is(await agent.ended(), status, `${args}: ${agent.stderr}`)
    t.true(agent.stderr.includes(words), `${args}: ${agent.stderr}`)
    t.is(agent.stderr === '', status === 0)
    t.false(agent.stderr.includes('    at '), agent.stderr)
  }
})

test('a kubeconfig that is missing is told, and used as soon as it is there', async t => {
  const node = await startNode(t, {nodes: [SELF, B], start: false})
  const kubeconfig = `${node.agent.config}.late`
  writeFileSync(
    node.agent.config,
    JSON.stringify({kubernetes: {kubeconfig}, folders: {state: node.agent.state, run: `${node.agent.state}.run`}}),
  )
  node.agent.start()
  await node.says('warn', `the kubeconfig ${kubeconfig} cannot be used`)
  t.is((await node.agent.http('/readyz'))?.status, 503)
  writeFileSync(kubeconfig, node.kubeconfig())
  await node.has(...TO_B)
})

test('cleanup removes all that is ours, and nothing else', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.says('masquerade written')
  t.is(await node.agent.stop(), 0)
  const before = [await node.allRoutes(4), await node.allRoutes(6)].flat()
  for (const command of [
    'route add 10.70.0.0/24 via 192.168.0.7 proto 108 metric 2048',
    'route add 10.70.1.0/24 via 192.168.0.7 proto 107 table 100',
    'link add ng-vx0 type bridge',
    'link set ng-vx0 alias netgraft:default',
    'link add other type bridge',
    'link set other alias nobody',
  ])
    await node.ip(command)
  node.agent.start('cleanup')
  t.is(await node.agent.ended(), 0)
  const told = node.agent.logs.map(line => line.msg).join('\n')
  t.true(told.includes('removed link ng-vx0') && told.endsWith('5 removed, 0 failed'), told)
  t.true(told.includes('removed table inet netgraft'), told)
  await node.has()
  const left = [await node.allRoutes(4), await node.allRoutes(6)].flat()
  t.deepEqual(
    left.filter(line => !line.includes('10.70.0.0/24')),
    before.filter(line => !line.includes('proto 107')),
  )
  t.is((await node.ip('route show table 100')).trim(), '')
  t.deepEqual(
    node.namespace
      .json('link', 'show')
      .map(link => link.ifname)
      .filter(name => name !== 'lo' && !/^(eth|sw)0$/.test(name)),
    ['other'],
  )
  node.agent.start('cleanup')
  t.is(await node.agent.ended(), 0)
  t.is(node.agent.logs[0]!.msg, '0 removed, 0 failed')
})

test('health, readiness and metrics', async t => {
  const node = await startNode(t, {nodes: [SELF, B], start: false})
  await node.api.faults.down()
  node.agent.start()
  await node.until(async () => (await node.agent.http('/readyz'))?.body.includes('next try in'))
  const early = (await node.agent.http('/readyz'))!
  t.is(early.status, 503)
  t.regex(early.body, /^nodes: .*http:\/\/127\.0\.0\.1:6443.*; next try in \d+ s$/m)
  t.regex(early.body, /^network default: its first pass has not ended yet$/m)
  t.is((await node.agent.http('/healthz'))!.status, 200)
  await node.api.faults.up()
  await node.until(() => node.agent.ready())
  t.is((await node.agent.http('/readyz'))!.body.trim(), 'ok')
  t.is((await node.agent.http('/nothing'))!.status, 404)
  await node.has(...TO_B)
  await node.until(async () => (await node.agent.metric('netgraft_routes')) === 2)
  for (const [name, labels, value] of [
    ['netgraft_routes', {network: 'default', family: '4'}, 1],
    ['netgraft_routes', {network: 'default', family: '6'}, 1],
    ['netgraft_peers', {network: 'default'}, 1],
    ['netgraft_conflicts', {network: 'default'}, 0],
    ['netgraft_route_changes_total', {op: 'add'}, 2],
    ['netgraft_drift_repairs_total', {}, 0],
    ['netgraft_deletions_held', {resource: 'nodes'}, 0],
    ['netgraft_netlink_enobufs_total', {}, 0],
    ['netgraft_kernel_resyncs_total', {reason: 'start'}, 1],
    ['netgraft_build_info', {}, 1],
  ] as const)
    t.is(await node.agent.metric(name, labels), value, `${name} ${JSON.stringify(labels)}`)
  for (const name of [
    'netgraft_event_to_kernel_seconds_count',
    'netgraft_api_errors_total',
    'netgraft_passes_total',
    'process_resident_memory_bytes',
  ])
    t.true((await node.agent.metric(name))! > 0, name)
})

test('a second agent on the same port routes all the same, and serves as soon as the first is gone', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  const [first, second] = [node.agent, node.secondAgent()]
  second.start()
  await node.until(() => second.logs.some(line => line.code === 'EADDRINUSE'))
  await first.kill()
  node.put('c 10.64.3.0/24 via 192.168.0.3')
  await node.has(...TO_B, '10.64.3.0/24 via 192.168.0.3')
  await node.until(() => second.ready())
  t.is(await second.stop(), 0)
})

test('SIGTERM and SIGINT leave the routes and end with 0, also without an API server', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.api.faults.down()
  t.is(await node.agent.kill('SIGINT'), 0)
  t.true(node.agent.logs.some(line => line.msg === 'stopping; the routes stay'))
  node.agent.start()
  await node.says('the API server failed us')
  t.is(await node.agent.kill('SIGTERM'), 0)
  await node.has(...TO_B)
  t.is(node.agent.stderr, '')
})
