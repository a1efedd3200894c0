/** What users are told of their pods' networks: annotations, Events, metrics; each once. Needs root. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {bridgeConf, type Declared, type Networks, startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
const NETWORK_STATUS = 'k8s.v1.cni.cncf.io/network-status'
const STATUS = 'netgraft.dev/attachments-status'

/** With the networks "a" to "c". */
async function start(t: ExecutionContext): Promise<Networks> {
  const dir = mkdtempSync(join(tmpdir(), 'ng-status-'))
  t.teardown(() => rmSync(dir, {recursive: true, force: true, maxRetries: 5}))
  const attachments = {criSockets: [join(dir, 'none.sock')]}
  const networks = await startNetworks(t, {config: {attachments}})
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    const ipam = {type: 'host-local', dataDir: dir, ranges: [[{subnet: `10.${i}.0.0/24`}]]}
    networks.define(name, bridgeConf(name, '', {ipam}))
  }
  return networks
}

const A = 'attached default/a net1'

/** "PATCH", "POST": what the agent has written of a pod; Events are not named after their pods alone. */
const writes = ({node}: Networks, {name}: Declared): string[] =>
  node.api.requests
    .filter(({method, path}) => method !== 'GET' && (path.includes(`/pods/${name}`) || path.endsWith('/events')))
    .map(({method}) => method)

const patches = (networks: Networks, pod: Declared): number =>
  writes(networks, pod).filter(method => method === 'PATCH').length

const texts = (networks: Networks, pod: Declared) => {
  const {[NETWORK_STATUS]: network, [STATUS]: states} = networks.object(pod)!.metadata.annotations!
  return {network, states}
}

/** Until whatever was due before has been done: another pod's networks come and go. */
async function settled(networks: Networks, fence: Declared): Promise<void> {
  for (const name of ['b', 'c']) {
    networks.annotate(fence, {[NPWG]: name})
    await networks.told(fence, new RegExp(`^attached default/${name} net`))
  }
  networks.annotate(fence, {[NPWG]: null})
  await networks.told(fence)
  // Its Events come behind its status.
  const {requests} = networks.node.api
  for (let seen = -1; seen !== requests.length; await sleep(300)) seen = requests.length
}

test('one write for each edit; none for pods without networks, and none after a restart', async t => {
  const networks = await start(t)
  const {agent} = networks.node
  const fence = await networks.start()
  const plain = await networks.start()
  const pod = await networks.start()
  networks.annotate(pod, {[NPWG]: 'a,b,c'})
  const all = [A, 'attached default/b net2', 'attached default/c net3']
  await networks.told(pod, ...all)
  await settled(networks, fence)
  t.is(patches(networks, pod), 1)
  t.like(networks.status(pod), [
    {name: 'netgraft', interface: 'eth0', default: true, ips: pod.result.ips.map(({address}) => address.split('/')[0])},
    {name: 'default/a', interface: 'net1', ips: ['10.0.0.2'], dns: {}},
    {name: 'default/b', interface: 'net2'},
    {name: 'default/c', interface: 'net3'},
  ] as object)
  networks.annotate(pod, {[NPWG]: 'c,a'})
  await networks.told(pod, 'attached default/c net3', A)
  await settled(networks, fence)
  t.is(patches(networks, pod), 2)
  t.deepEqual(
    networks.status(pod).map(({interface: ifname}) => ifname),
    ['eth0', 'net3', 'net1'],
  )

  const before = {texts: texts(networks, pod), events: networks.events(pod).sort()}
  t.is(
    await agent.metric('netgraft_attachment_operations_total', {
      definition: 'default/b',
      op: 'attach',
      type: 'bridge',
      outcome: 'done',
    }),
    3,
  )
  t.is(await agent.metric('netgraft_attachment_operations_total', {definition: 'default/b', op: 'detach'}), 3)
  t.is(await agent.metric('netgraft_attachments', {state: 'added'}), 5)
  await agent.kill()
  agent.start()
  await networks.runtime.serving()
  await settled(networks, fence)
  t.is(patches(networks, pod), 2)
  t.deepEqual(texts(networks, pod), before.texts)
  t.deepEqual(networks.events(pod).sort(), before.events)
  t.deepEqual(before.events, [
    'Normal Attached: attached default/a as net1 (10.0.0.2/24)',
    'Normal Attached: attached default/b as net2 (10.1.0.2/24)',
    'Normal Attached: attached default/c as net3 (10.2.0.2/24)',
    'Normal Detached: detached default/b from net2',
  ])
  t.is(await agent.metric('netgraft_attachments', {state: 'added'}), 5)
  t.is(patches(networks, plain), 0)
  t.false(NETWORK_STATUS in (networks.object(plain)!.metadata.annotations ?? {}))
})

test('what cannot be written is tried again, and what somebody else writes is put right', async t => {
  const networks = await start(t)
  const {api} = networks.node
  const fence = await networks.start()
  const pod = await networks.start()
  api.faults.fail(1, 409)
  networks.annotate(pod, {[NPWG]: 'a'})
  await networks.told(pod, A)
  t.is(patches(networks, pod), 2)
  await networks.node.until(() => networks.events(pod).length === 1)

  const right = texts(networks, pod)
  for (const value of ['nonsense', '[]', '[{"state":"attached","since":7}, null]', null]) {
    networks.annotate(pod, {[NETWORK_STATUS]: value, [STATUS]: value})
    await networks.node.until(
      () => texts(networks, pod).network === right.network && texts(networks, pod).states !== value,
      () => JSON.stringify(texts(networks, pod)),
    )
    await networks.told(pod, A)
  }
  // Once more, at the very moment at which it has been written.
  networks.annotate(pod, {[NPWG]: 'a,b'})
  await networks.node.until(() => networks.states(pod).length === 2, undefined, 0)
  networks.annotate(pod, {[NETWORK_STATUS]: 'nonsense'})
  await networks.node.until(() => texts(networks, pod).network!.startsWith('[{"name":"netgraft"'))
  await settled(networks, fence)
  t.is(networks.events(pod).length, 2, networks.events(pod).join('\n'))

  // The annotations are full: Events are told all the same.
  const written = writes(networks, pod).length
  api.faults.fail(1, 422)
  networks.annotate(pod, {[NPWG]: 'a,b,none'})
  await networks.told(pod, A, 'attached default/b net2', /^failed default\/none net3/)
  t.deepEqual(writes(networks, pod).slice(written, written + 3), ['PATCH', 'POST', 'PATCH'])
})

test('what somebody else says of a pod that nobody knows is left as it is', async t => {
  const networks = await start(t)
  const said = '[{"name":"cbr0","interface":"eth0","default":true},{"name":"default/a","interface":"net1"}]'
  const pod = await networks.declare({[NPWG]: 'a', [NETWORK_STATUS]: said})
  networks.node.api.patch(
    {resource: 'pods', namespace: 'default', name: pod.name, status: true},
    {status: {phase: 'Running', podIP: '10.64.1.200'}},
  )
  await networks.told(pod, /^pending default\/a its sandbox is not known/)
  t.is(texts(networks, pod).network, said)
  t.deepEqual(networks.events(pod), [])
})
