/** The lab as a user has it: its command line, what it shows, and that nothing of it stays. */
import {spawnSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {check} from '../../src/lab/check.ts'
import {showExample} from '../../src/lab/example.ts'
import {ATTACHMENTS} from '../../src/lab/example-attachments.ts'
import {PAIRS} from '../../src/lab/example-pairs.ts'
import {startLab} from '../../src/lab/lab.ts'
import {writeAssets} from './support-assets.ts'
import {kubectl, LabCommand, leftOvers, until} from './support-lab.ts'

const SIZE = ['--nodes', '2', '--pods', '1', '--no-attachments', '--no-pairs'] as const

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'ng-labtest-'))
  t.teardown(() => rmSync(path, {recursive: true, force: true, maxRetries: 5}))
  return path
}

test('--once: checks everything, says so in a line, and leaves nothing', async t => {
  const lab = new LabCommand(t, [...SIZE, '--once'])
  const id = await lab.id()
  t.is(await lab.end(), 0, lab.errors)
  t.regex(
    lab.output,
    /^2 nodes, 2 pods: 4 of 4 pings answered \(IPv4 2, IPv6 2\), 2 routes on every node \(direct\); ready after \d+\.\d s; cleaned up$/m,
  )
  t.is(lab.errors, '')
  t.deepEqual(await lab.leftOvers(id), [])
})

test('--once with attachments: networks come and go on running pods, and an edit made while the agent was down counts', async t => {
  const lab = new LabCommand(t, ['--nodes', '1', '--pods', '0', '--no-pairs', '--once'])
  const id = await lab.id()
  t.is(await lab.end(), 0, lab.output + lab.errors)
  t.is(lab.output.match(/^ *[\d.]+ s +✔ .* ms$/gm)?.length, 13, lab.output)
  t.notRegex(lab.output, /✘/)
  t.regex(lab.output, /; attachments: 13 of 13 steps; cleaned up$/m)
  t.deepEqual(await lab.leftOvers(id), [])
})

test('until Ctrl-C: the printed kubectl line works, and what it changes shows', async t => {
  const lab = new LabCommand(t, [...SIZE, '--family', '4'])
  const id = await lab.id()
  const [, kubeconfig] = await lab.prints(/^kubectl --kubeconfig (\S+) get nodes$/m)
  await lab.prints(/2 of 2 pings answered$/m)
  t.is(kubectl(kubeconfig!, 'get', 'nodes', '-o', 'name'), 'node/n1\nnode/n2')
  t.is(kubectl(kubeconfig!, 'get', 'pods', '-o', 'jsonpath={.items[*].status.podIP}'), '10.244.1.2 10.244.2.2')
  kubectl(kubeconfig!, 'delete', 'node', 'n2')
  await lab.prints(/n1 +- 10\.244\.2\.0\/24 via 192\.168\.100\.2$/m)
  lab.child.kill('SIGINT')
  t.is(await lab.end(), 0, lab.errors)
  t.regex(lab.output, /cleaned up\n$/)
  t.deepEqual(await lab.leftOvers(id), [])
})

for (const [when, pattern] of [
  ['that runs', /pings answered$/m],
  ['that is just starting', /API server/],
] as const)
  test(`a lab ${when} and is killed with SIGKILL leaves nothing`, async t => {
    const lab = new LabCommand(t, [...SIZE, '--family', '6'])
    const id = await lab.id()
    await lab.prints(pattern)
    lab.child.kill('SIGKILL')
    t.is(await lab.end(), 'SIGKILL')
    await until(async () => (await lab.leftOvers(id)).length === 0, 'an end of everything')
    t.pass()
  })

test('KUBEBUILDER_ASSETS: its etcd and kube-apiserver, and nothing else is different', async t => {
  const lab = new LabCommand(t, [...SIZE, '--once'], {KUBEBUILDER_ASSETS: writeAssets(join(folder(t), 'assets'))})
  const id = await lab.id()
  t.is(await lab.end(), 0, lab.errors)
  t.regex(lab.output, /API server \(kube-apiserver\) at https:/)
  t.regex(lab.output, /4 of 4 pings answered .* cleaned up$/m)
  t.deepEqual(await lab.leftOvers(id), [])
})

test('a start that fails says why and leaves nothing', async t => {
  const assets = writeAssets(join(folder(t), 'assets'))
  // Not at once: the run's folder has to be seen before it is gone again.
  writeFileSync(join(assets, 'kube-apiserver'), '#!/bin/sh\nsleep 1\necho no such luck\nexit 3\n', {mode: 0o755})
  const lab = new LabCommand(t, [...SIZE], {KUBEBUILDER_ASSETS: assets})
  const id = await lab.id()
  t.is(await lab.end(), 1)
  t.is(lab.errors, 'lab: kube-apiserver ended (3):\nno such luck\n')
  t.deepEqual(await lab.leftOvers(id), [])
})

test('the printed line for networks works, and a pod that somebody makes is one like the others', async t => {
  const lab = new LabCommand(t, ['--nodes', '1', '--pods', '1', '--family', '4', '--no-pairs'])
  const id = await lab.id()
  const [, kubeconfig] = await lab.prints(
    /^kubectl --kubeconfig (\S+) annotate pod app1 networks='\[{"name":"green"}\]' --overwrite$/m,
  )
  t.is(
    kubectl(kubeconfig!, 'annotate', 'pod', 'app1', 'networks=[{"name":"green"}]', '--overwrite'),
    'pod/app1 annotated',
  )
  const interfaces = () => spawnSync('ip', ['-n', `ng-${id}-app1`, '-br', 'link'], {encoding: 'utf8'}).stdout
  await until(() => !interfaces().includes('net48d6215903df'), 'an app1 without blue')
  t.regex(interfaces(), /net9f27410725ab/)
  t.regex(kubectl(kubeconfig!, 'get', 'net'), /^blue +bridge .*\ngreen +bridge /m)
  t.is(kubectl(kubeconfig!, 'get', 'nad'), 'No resources found in default namespace.')

  const pod = {apiVersion: 'v1', kind: 'Pod', metadata: {name: 'mine'}, spec: {containers: [{name: 'c', image: 'x'}]}}
  const file = join(folder(t), 'pod.json')
  writeFileSync(file, JSON.stringify(pod))
  t.is(kubectl(kubeconfig!, 'create', '-f', file), 'pod/mine created')
  await lab.prints(/n1 +mine has its network: ADD took/)
  t.regex(kubectl(kubeconfig!, 'delete', 'pod', 'mine'), /^pod "mine" deleted/)
  await lab.prints(/n1 +mine is gone: DEL took/)
  lab.child.kill('SIGINT')
  t.is(await lab.end(), 0, lab.errors)
  t.deepEqual(await lab.leftOvers(id), [])
})

test('an agent that dies fails --once, with the end of its log', async t => {
  const bundle = join(folder(t), 'agent.mjs')
  writeFileSync(bundle, 'console.log("cannot go on"); process.exitCode = 3')
  const lab = await startLab({nodes: 1, podsPerNode: 1, family: '4', signal: new AbortController().signal, bundle})
  t.teardown(() => lab.stop())
  await t.throwsAsync(lab.ready(), {message: 'the agent of n1 died (exit 3)'})
  t.is(await lab.nodes[0]!.agent.tail(), 'cannot go on')
  await lab.stop()
  t.deepEqual(await leftOvers(lab.id, lab.folder), [])
})

test('an example that does not come true fails --once, and says where', async t => {
  const {signal} = new AbortController()
  const lab = await startLab({nodes: 1, podsPerNode: 0, family: '4', signal})
  t.teardown(() => lab.stop())
  // Somebody else's network of that name.
  const body = {apiVersion: 'kaloom.com/v1', kind: 'Network', metadata: {name: 'green'}, spec: {plugin: 'bridge'}}
  await lab.client.request('POST', '/apis/kaloom.com/v1/namespaces/default/networks', {body, signal})
  const shows = [ATTACHMENTS, PAIRS].map(story => () => showExample(lab, story, {remove: true, signal, tell: () => {}}))
  const {failures, summary, suspects} = await check(lab, shows)
  t.is(failures.length, 1)
  t.regex(failures[0]!, /^the example of attachments: it ended: .*networks\.kaloom\.com "green" already exists$/)
  t.regex(summary, /; attachments: 0 of 1 step; pairs: 10 of 10 steps$/)
  t.deepEqual(suspects, ['n1'])
})

test('as a library: an agent is killed and started again, its routes stay, and the end comes with the signal', async t => {
  const end = new AbortController()
  const lab = await startLab({nodes: 2, podsPerNode: 1, family: 'dual', signal: end.signal})
  t.teardown(() => lab.stop())
  await lab.ready()
  const [n1] = lab.nodes
  await until(() => n1!.routes.size === 2, 'the routes of n1')
  await n1!.agent.stop('SIGKILL')
  t.deepEqual([...n1!.routes.keys()].sort(), ['10.244.2.0/24 via 192.168.100.2', 'fd00:244:2::/64 via fd00:100::2'])
  t.true((await lab.pingAll()).every(({ms}) => ms !== undefined))
  await n1!.agent.start()
  await lab.ready()
  t.is((await n1!.agent.get('/readyz')).status, 200)
  t.is(lab.expectedRoutes('n1'), 2)
  end.abort()
  await lab.stop()
  t.deepEqual(await leftOvers(lab.id, lab.folder), [])
})
