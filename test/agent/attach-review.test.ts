/** What others write on pods, and what is to end without anybody who remembers how it began. Needs root. */
import {rmSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {freeSocket, POD_RESOURCES, serveGrpc} from '../cri/serve.ts'
import {startCriPeer} from './support/cri-peer.ts'
import {startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'
import {Recorder} from './support/recorder.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
const STATUS = 'netgraft.dev/attachments-status'

/** States that are none. */
const FORGED = [
  [{name: {toString: 1, valueOf: 1}, state: 'attached', interface: 'net1'}],
  [{name: 'default/none', state: 'failed', interface: 'net1', reason: 5, since: 7}],
  [{state: 'attached'}, [], {name: 'default/none', interface: {toString: null}}],
]

test('a status that somebody has forged keeps nobody from anything', async t => {
  const networks = await startNetworks(t)
  const {node} = networks
  const pods = await Promise.all(FORGED.map(() => networks.start()))
  const forge = () => {
    for (const [i, pod] of pods.entries()) networks.annotate(pod, {[STATUS]: JSON.stringify(FORGED[i]), [NPWG]: 'none'})
  }
  forge()
  const states = () => pods.map(pod => JSON.stringify(networks.status(pod, STATUS)))
  const told = () =>
    node.until(() =>
      states().every(text => /^\[{"name":"default\/none",.*there is no network definition[^}]*}\]$/.test(text)),
    )
  await told()
  await node.agent.kill()
  forge()
  node.agent.start()
  await told()
  t.false(node.agent.logs.some(({level}) => level === 'fatal' || level === 'error'))
})

test('the journal is lost, and then nothing is asked for any more', async t => {
  const peer = await startCriPeer(t)
  const networks = await startNetworks(t, {config: {attachments: {criSockets: [peer.socket]}}})
  const recorder = new Recorder(t)
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'bridge'}))
  const {node, runtime} = networks
  const pod = await networks.start({[NPWG]: 'green'})
  await networks.told(pod, 'attached default/green net1')
  peer.sandboxes.push({id: pod.id, uid: pod.uid, name: pod.name, netns: pod.namespace.path})
  await node.agent.kill()
  rmSync(join(node.agent.state, 'journal'), {recursive: true, maxRetries: 5})
  node.agent.start()
  await runtime.serving()
  await node.until(() => node.agent.metric('netgraft_attachments', {state: 'added'}).then(count => count === 1))
  await networks.has(pod, 'net1 192.168.42.2/24')
  networks.annotate(pod, {[NPWG]: null})
  await networks.has(pod)
  await networks.told(pod)
  await runtime.succeeds('DEL', pod, networks.asked(pod))
  await runtime.clean()
  t.deepEqual(recorder.leases(), [])
})

test('a device goes to no network whose definition names another resource', async t => {
  const socket = await freeSocket(t)
  const recorder = new Recorder(t)
  const networks = await startNetworks(t, {config: {attachments: {podResources: socket}}})
  networks.path = [recorder.folder, '/usr/lib/cni']
  const resource = (name: string) => ({annotations: {'k8s.v1.cni.cncf.io/resourceName': `x.io/${name}`}})
  networks.define('fast', recorder.conf('fast', '10.9.0.0/24'), resource('fast'))
  networks.define('slow', recorder.conf('slow', '10.8.0.0/24'), resource('slow'))
  const pod = await networks.declare({[NPWG]: 'fast@x,fast@y'})
  const devices = [
    {resource_name: 'x.io/fast', device_ids: ['fast1', 'fast2']},
    {resource_name: 'x.io/slow', device_ids: ['slow1', 'slow2']},
  ]
  const List = () => ({pod_resources: [{name: pod.name, namespace: 'default', containers: [{name: 'main', devices}]}]})
  await serveGrpc(t, socket, {file: POD_RESOURCES, service: 'v1.PodResourcesLister', answers: {List}})
  const started = await networks.wire(pod)
  networks.annotate(pod, {[NPWG]: 'slow@x,fast@y'})
  await networks.told(pod, 'attached default/slow x', 'attached default/fast y')
  networks.node.api.patch(
    {resource: 'network-attachment-definitions.k8s.cni.cncf.io', namespace: 'default', name: 'fast'},
    {metadata: resource('slow')},
  )
  const got = () =>
    recorder
      .calls('ADD')
      .map(({env, stdin}) => `${env.CNI_IFNAME} ${JSON.parse(stdin).name} ${JSON.parse(stdin).deviceID}`)
  await networks.node.until(() => got().length === 4)
  // The two of one start are made side by side.
  t.deepEqual(got().slice(0, 2).toSorted(), ['x fast fast1', 'y fast fast2'])
  t.deepEqual(got().slice(2).toSorted(), ['x slow slow1', 'y fast slow2'])
  await networks.runtime.succeeds('DEL', started, networks.asked(started))
  await networks.runtime.clean()
})

test('what we may not read at the API server keeps nobody from starting whom the runtime tells of', async t => {
  const networks = await startNetworks(t)
  const {node, runtime} = networks
  networks.path = ['/usr/lib/cni']
  const recorder = new Recorder(t)
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'bridge'}))
  const fence = await networks.start({[NPWG]: 'green'})
  await networks.told(fence, 'attached default/green net1')
  const [plain, asks, unknown] = await Promise.all([{}, {[NPWG]: 'green'}, {}].map(each => networks.declare(each)))
  node.api.faults.fail(100_000, 403)
  node.api.faults.cutWatches()
  await node.says('403')
  await networks.wire(plain!)
  await networks.has(plain!)
  await networks.wire(asks!)
  await networks.has(asks!, 'net1 192.168.42.3/24')
  const stranger = {...unknown!, name: 'nobody', uid: 'none'}
  const {code, msg} = await runtime.fails('ADD', stranger, networks.asked(stranger, false))
  t.is(code, 11)
  t.regex(msg, /which networks pod "default\/nobody" asks for is not known: .*403/)
  node.api.faults.fail(0, 403)
  await networks.told(asks!, 'attached default/green net1')
  for (const pod of [fence, plain!, asks!]) await runtime.succeeds('DEL', pod, networks.asked(pod))
  await runtime.clean()
})
