/** The lab's kubelet: pods come and go with their objects, whoever makes them. */
import {existsSync, rmSync, writeFileSync} from 'node:fs'
import {mkdtemp, readFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {type Lab, startLab} from '../../src/lab/lab.ts'
import type {LabPod} from '../../src/lab/pods.ts'
import {until} from './support-lab.ts'

const PODS = '/api/v1/namespaces/default/pods'

interface Pod {
  readonly metadata: {
    readonly uid: string
    readonly deletionTimestamp?: string
    readonly annotations?: Record<string, string>
  }
  readonly spec: {readonly nodeName?: string}
  readonly status?: {readonly phase?: string; readonly podIPs?: readonly {readonly ip: string}[]}
}

interface Event {
  readonly reason: string
  readonly message: string
  readonly count: number
  readonly involvedObject: {readonly name: string; readonly uid: string}
}

async function start(t: ExecutionContext, more: {nodes?: number; podsPerNode?: number; bundle?: string} = {}) {
  const end = new AbortController()
  const lab = await startLab({nodes: 1, podsPerNode: 0, family: 'dual', signal: end.signal, ...more})
  t.teardown(() => lab.stop())
  return lab
}

const ask = async <T>({client}: Lab, method: string, path: string, body?: object): Promise<T> => {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  return (await client.request(method, path, {body, contentType, signal: new AbortController().signal})) as T
}

const create = (lab: Lab, name: string, spec: object = {}, namespace = 'default') =>
  ask<Pod>(lab, 'POST', PODS.replace('default', namespace), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name, annotations: {mark: name}},
    spec: {containers: [{name: 'c', image: 'none'}], ...spec},
  })

const read = (lab: Lab, name: string) => ask<Pod>(lab, 'GET', `${PODS}/${name}`)

const running = (lab: Lab, name: string, namespace = 'default'): Promise<LabPod> =>
  until(() => lab.pods.find(pod => pod.name === name && pod.namespace === namespace && pod.addMs), `${name} running`)

const file = ({netns}: LabPod): string => `/run/netns/${netns}`

test('a pod with a node is started there, says so, and is taken down when its object is deleted', async t => {
  const lab = await start(t)
  const {metadata} = await create(lab, 'app', {nodeName: 'n1'})
  const pod = await running(lab, 'app')
  t.like(pod, {uid: metadata.uid, node: 'n1', netns: `ng-${lab.id}-app`})
  const {status} = await until(
    () => read(lab, 'app').then(object => object.status?.phase === 'Running' && object),
    'its status',
  )
  t.deepEqual(
    status!.podIPs!.map(({ip}) => ip),
    pod.addresses.map(String),
  )
  t.is(pod.addresses.length, 2)
  t.true(existsSync(file(pod)))
  t.true((await lab.pingAddresses(pod, [lab.plan.nodes[0]!.addresses[0]!.ip])).every(ms => ms !== undefined))

  const marked = await ask<Pod>(lab, 'DELETE', `${PODS}/app`)
  t.truthy(marked.metadata.deletionTimestamp, 'it stays until its network is gone')
  await until(() => lab.pods.length === 0, 'the end of the pod')
  await t.throwsAsync(read(lab, 'app'), {message: /not found/})
  t.false(existsSync(file(pod)))
})

test('the runtime tells of exactly that object', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-labtest-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  // An agent that is ready and does nothing, and a plugin that notes what it is told.
  const bundle = join(folder, 'agent.mjs')
  writeFileSync(
    bundle,
    `import {createServer} from 'node:http'\ncreateServer((_, answer) => answer.end('ok')).listen(9464, '::')`,
  )
  const notes = join(folder, 'notes')
  const script = `#!/bin/sh
echo "$CNI_COMMAND $CNI_IFNAME $CNI_NETNS $CNI_CONTAINERID $CNI_ARGS" >>${notes}
cat >>${notes}
echo >>${notes}
if [ -e ${folder}/refuse ]; then echo '{"code": 7, "msg": "not today"}'; exit 1; fi
[ "$CNI_COMMAND" = DEL ] || echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.9.9.9/24"}]}'
`
  writeFileSync(join(folder, 'netgraft-cni'), script, {mode: 0o755})
  writeFileSync(join(folder, 'refuse'), '')
  const noted = async () => {
    const lines = (await readFile(notes, 'utf8').catch(() => '')).trim().split('\n')
    return lines.flatMap((line, i) => (i % 2 === 0 && lines[i + 1] ? [{line, config: JSON.parse(lines[i + 1]!)}] : []))
  }

  const lab = await start(t, {bundle})
  await lab.ready()
  const {uid} = (await create(lab, 'app', {nodeName: 'n1'})).metadata
  const events = '/api/v1/namespaces/default/events'
  const event = await until(
    () =>
      ask<{items: Event[]}>(lab, 'GET', events).then(({items}) =>
        items.find(({count, involvedObject}) => count > 1 && involvedObject.name === 'app'),
      ),
    'the Event, counted up',
  )
  t.is(event.reason, 'FailedCreatePodSandBox')
  t.is(event.involvedObject.uid, uid)
  t.regex(event.message, /not today/)
  t.is(lab.pods.length, 0)
  rmSync(join(folder, 'refuse'))
  const pod = await running(lab, 'app')
  await ask(lab, 'DELETE', `${PODS}/app`)
  await until(() => lab.pods.length === 0, 'the end of the pod')

  const calls = await noted()
  const of = (id: string) => calls.filter(({line}) => line.includes(` ${id} `)).map(({line}) => line)
  const rest = `eth0 ${file(pod)} ${pod.containerId} IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=app;K8S_POD_INFRA_CONTAINER_ID=${pod.containerId};K8S_POD_UID=${uid}`
  t.deepEqual(of(pod.containerId), [`ADD ${rest}`, `DEL ${rest}`])
  const failed = calls[0]!.line.split(' ')[3]!
  t.not(failed, pod.containerId, 'another try is another sandbox')
  t.deepEqual(
    of(failed).map(line => line.slice(0, 3)),
    ['ADD', 'DEL'],
  )
  for (const {config} of calls) t.deepEqual(config.runtimeConfig, {'io.kubernetes.cri.pod-annotations': {mark: 'app'}})
})

test('pods without a node are spread over the nodes; hostNetwork ones have the node’s addresses', async t => {
  const lab = await start(t, {nodes: 2})
  await ask(lab, 'POST', '/api/v1/namespaces', {apiVersion: 'v1', kind: 'Namespace', metadata: {name: 'team'}})
  for (const name of ['a', 'b']) await create(lab, name)
  // Its name is another node's, and its namespace must have another one.
  await create(lab, 'n2', {nodeName: 'n1'})
  await create(lab, 'a', {}, 'team')
  const pods = [
    await running(lab, 'a'),
    await running(lab, 'b'),
    await running(lab, 'n2'),
    await running(lab, 'a', 'team'),
  ]
  t.deepEqual(new Set(pods.slice(0, 2).map(({node}) => node)), new Set(['n1', 'n2']))
  t.deepEqual(
    pods.map(({netns}) => netns),
    ['a', 'b', 'n2-2', 'team.a'].map(name => `ng-${lab.id}-${name}`),
  )
  t.true((await lab.pingAll()).every(({ms}) => ms !== undefined))

  await create(lab, 'host', {hostNetwork: true, nodeName: 'n2'})
  const {status} = await until(() => read(lab, 'host').then(pod => pod.status?.podIPs && pod), 'its addresses')
  t.deepEqual(
    status!.podIPs!.map(({ip}) => ip),
    lab.plan.nodes[1]!.addresses.map(({ip}) => `${ip}`),
  )
  await ask(lab, 'DELETE', `${PODS}/host`)
  await t.throwsAsync(
    until(() => read(lab, 'host').then(() => false), 'never'),
    {message: /not found/},
  )
})

test('deleted by force and made again under its name: another pod in another sandbox', async t => {
  const lab = await start(t, {podsPerNode: 1})
  await lab.ready()
  const [first] = lab.pods
  await ask(lab, 'DELETE', `${PODS}/n1-p1`, {gracePeriodSeconds: 0})
  const {uid} = (await create(lab, 'n1-p1', {nodeName: 'n1'})).metadata
  const second = await until(() => lab.pods.find(pod => pod.uid === uid && pod.addMs), 'the second one')
  t.not(second.containerId, first!.containerId)
  t.not(`${second.addresses[0]}`, `${first!.addresses[0]}`, 'the first one’s address is not given out at once')
  await until(() => read(lab, 'n1-p1').then(pod => pod.status?.phase === 'Running'), 'its status')
  await ask(lab, 'DELETE', `${PODS}/n1-p1`)
  await until(() => lab.pods.length === 0, 'the end of the pod')
  t.false(existsSync(file(second)))
})

test('while the agent is away pods wait, and those that go are taken down', async t => {
  const lab = await start(t, {podsPerNode: 1})
  await lab.ready()
  const [node] = lab.nodes
  await node!.agent.stop('SIGKILL')
  const [old] = lab.pods
  await ask(lab, 'DELETE', `${PODS}/n1-p1`)
  await create(lab, 'late', {nodeName: 'n1'})
  await until(() => lab.pods.length === 0, 'the end of the pod')
  t.false(existsSync(file(old!)))
  await node!.agent.start()
  t.is((await running(lab, 'late')).node, 'n1')
})
