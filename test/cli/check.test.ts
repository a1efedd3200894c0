/** `netgraft check` on a node that is well, and on ones that are not. Needs root. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import type {Check} from '../../src/cli/checks/check.ts'
import {judgePort, parseUdp} from '../../src/cli/checks/ports.ts'
import type {Link} from '../../src/model/net.ts'
import {built, OWN_TUNNELS, startNode, type TestNode, VXLAN} from '../agent/support/node.ts'
import {netgraft} from './support.ts'

test.before(built)

/** The runtime's two folders. */
function folders(t: ExecutionContext): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), 'ng-check-'))
  t.teardown(() => rmSync(root, {recursive: true, force: true, maxRetries: 5}))
  return ['--cni-bin', join(root, 'bin'), '--cni-conf', join(root, 'conf')]
}

async function check(node: TestNode, place: readonly string[]) {
  const {status, stdout, stderr} = await netgraft(node, 'check', ...place, '-o', 'json')
  if (stdout === '') throw new Error(stderr)
  const {checks} = JSON.parse(stdout) as {checks: Check[]}
  const bad = checks.filter(({state}) => state !== 'ok').map(({state, name, says}) => `${state} ${name}: ${says}`)
  return {status, checks, bad}
}

test('a node that is well', async t => {
  const place = folders(t)
  const node = await startNode(t, {config: VXLAN})
  await node.holds(OWN_TUNNELS)
  await node.until(() => node.agent.ready())
  await netgraft(node, 'install', ...place)
  const {status, checks, bad} = await check(node, place)
  t.deepEqual([status, bad], [0, []])
  const says = (name: string) => checks.find(each => each.name === name)?.says
  t.is(says('UDP 8472'), 'tunnels have it (networks[0].vxlan.port)')
  t.is(says('mtu of ng-vx0'), '1450 of 1450 bytes that fit')
  t.is(says('node a'), 'its pods are in 10.64.1.0/24 fd00:64:1::/64')
  for (const name of ['veth', 'vxlan', 'nftables', 'net.ipv4.ip_forward', 'plugin', 'conflist', 'CNI socket', 'agent'])
    t.truthy(says(name), name)
  // What was made to see whether it can be is gone.
  t.deepEqual(
    node.namespace.json('link', 'show').flatMap(({ifname}) => (ifname.startsWith('ngc') ? ifname : [])),
    [],
  )
  t.deepEqual(
    node.agent.logs.filter(({level}) => level !== 'info').map(line => JSON.stringify(line)),
    [],
  )
  const table = await netgraft(node, 'check', ...place)
  t.regex(table.stdout, /^STATE +WHAT +FOUND\n/)
  t.regex(table.stdout, /\n\d+ checks: 0 failed, 0 warnings\n$/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no colour where there is no terminal
  t.notRegex(table.stdout, /\x1b/)
})

test('each thing that is wrong is said, with what to do', async t => {
  const place = folders(t)
  const node = await startNode(t, {config: VXLAN})
  await node.holds(OWN_TUNNELS)
  await node.agent.stop()
  await node.ip('link set ng-vx0 mtu 1500')
  await node.namespace.exec('sysctl', '-qw', 'net.ipv4.ip_forward=0')
  node.api.patch({resource: 'nodes', name: 'a'}, {spec: {podCIDRs: null}})
  const before = await check(node, place)
  t.is(before.status, 1)
  const all = before.bad.join('\n')
  for (const want of [
    /^failed net\.ipv4\.ip_forward: it is 0, .*; set it to 1, or look why/m,
    /^failed plugin: .*\/bin\/netgraft is not there, and no pod can start; run: netgraft install$/m,
    /^failed conflist: .*\/conf has no conflist of Netgraft, .*; run: netgraft install$/m,
    /^failed CNI socket: nobody answers at .*cni\.sock \(ECONNREFUSED\), and starting pods wait; start the agent$/m,
    /^failed mtu of ng-vx0: it is 1500, and 1450 bytes fit through the interface with 192\.168\.0\.1: .*; lower/m,
    /^failed node a: its object has no spec\.podCIDRs, /m,
    /^failed agent: no agent answers at .*admin\.sock: start it/m,
  ])
    t.regex(all, want)

  // A conflist of another agent's folders, behind somebody else's; a program that cannot be run; a taken port; no API server.
  await netgraft(node, 'install', ...place, '--config', '/dev/null')
  const [, bin = '', , conf = ''] = place
  await node.namespace.exec('sh', '-c', `echo '{"name":"x","type":"y"}' > ${conf}/00-x.conf`)
  chmodSync(join(bin, 'netgraft'), 0o644)
  await node.ip('link del ng-vx0')
  await node.ip('link del ng-vx0-6')
  const inside = [`--net=${node.namespace.path}`, process.execPath, '-e', HOLD]
  const holder = spawn('nsenter', inside, {stdio: ['ignore', 'pipe', 'inherit']})
  t.teardown(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  await node.api.close()
  const after = (await check(node, place)).bad.join('\n')
  for (const want of [
    /^failed plugin: .* is not executable/m,
    /^warning conflist: .*00-x\.conf comes before .*05-netgraft\.conflist, /m,
    /^failed conflist: .* sends the plugin to \/run\/netgraft\/cni\.sock, and the agent's socket is .*; run: netgraft install --config FILE$/m,
    /^failed UDP 8472: process \d+ \(\S+\) has the port of networks\[0\]\.vxlan\.port, .*; stop it, or choose another port/m,
    /^failed API server: .*; look into the network, the kubeconfig and the rights of the agent$/m,
  ])
    t.regex(after, want)
})

const HOLD = "require('dgram').createSocket('udp4').bind(8472, () => console.log('bound'))"

test('UDP ports, as the kernel lists them', t => {
  const holders =
    parseUdp(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1157: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 0
 2000: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
 2001: 00000000000000000000000000000000:2118 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 0
`)
  t.deepEqual(
    [...holders],
    [
      [8472, [0, 0]],
      [53, [4711]],
    ],
  )
  const flannel = {name: 'flannel.1', group: 0, vxlan: {vni: 1, port: 8472}} as unknown as Link
  const none = {port: 8472, key: 'k', isTaken: true, holder: undefined, links: []}
  const states = [
    judgePort({...none, isTaken: false}),
    judgePort(none),
    judgePort({...none, links: [flannel]}),
    judgePort({...none, holder: 'process 7 (dnsmasq)'}),
  ]
  t.deepEqual(
    states.map(({state}) => state),
    ['ok', 'ok', 'warning', 'failed'],
  )
})
