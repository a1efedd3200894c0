/** Devices that the kubelet has given to a pod, for its networks. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {freeSocket, POD_RESOURCES, serveGrpc} from '../cri/serve.ts'
import {type Networks, startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'
import {Recorder} from './support/recorder.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
const SRIOV = 'intel.com/sriov'
const annotations = {'k8s.v1.cni.cncf.io/resourceName': SRIOV}

/** `give`: what the kubelet has given, by the names of pods; answers while it is up. */
async function start(t: ExecutionContext) {
  const socket = await freeSocket(t)
  const recorder = new Recorder(t)
  const given = new Map<string, readonly string[]>()
  const List = () => ({
    pod_resources: [...given].map(([name, device_ids]) => ({
      name,
      namespace: 'default',
      containers: [{name: 'main', devices: [{resource_name: SRIOV, device_ids}]}],
    })),
  })
  const serve = () => serveGrpc(t, socket, {file: POD_RESOURCES, service: 'v1.PodResourcesLister', answers: {List}})
  const networks: Networks = await startNetworks(t, {config: {attachments: {podResources: socket}}})
  networks.path = [recorder.folder, '/usr/lib/cni']
  networks.define('fast', recorder.conf('fast', '10.9.0.0/24'), {annotations})
  networks.define('plain', recorder.conf('plain', '10.8.0.0/24'))
  /** "net1 0000:03:02.0 0000:03:02.0", of deviceID and pciBusID. */
  const got = (verb: 'ADD' | 'DEL', name: string): string[] =>
    recorder
      .calls(verb)
      .filter(({env}) => env.CNI_ARGS!.includes(`K8S_POD_NAME=${name};`))
      .map(({env, stdin}) => {
        const {deviceID, pciBusID} = JSON.parse(stdin)
        return [env.CNI_IFNAME, deviceID, pciBusID].filter(Boolean).join(' ')
      })
      .sort()
  return {networks, recorder, given, serve, got}
}

test('each network gets a device of its own, and keeps it', async t => {
  const {networks, given, serve, got} = await start(t)
  const {node, runtime} = networks
  const early = await networks.declare({[NPWG]: 'fast'})
  const refused = await runtime.fails('ADD', early, networks.asked(early))
  t.is(refused.code, 11)
  t.regex(refused.msg, /networks\[0\]: the kubelet has no socket at/)
  const stop = await serve()
  t.is((await runtime.fails('ADD', early, networks.asked(early))).code, 11)
  given.set(early.name, ['0000:03:02.0', '0000:03:02.1'])
  const asks = JSON.stringify([{name: 'fast'}, {name: 'plain'}, {name: 'fast', deviceID: '0000:03:02.0'}])
  networks.annotate(early, {[NPWG]: asks})
  const pod = await networks.wire(early)
  const all = ['net1 0000:03:02.1 0000:03:02.1', 'net2', 'net3 0000:03:02.0 0000:03:02.0']
  t.deepEqual(got('ADD', pod.name), all)
  const states = ['attached default/fast net1', 'attached default/plain net2', 'attached default/fast net3']
  await networks.told(pod, ...states)
  t.like(networks.status(pod)[1], {
    'device-info': {type: 'pci', version: '1.1.0', pci: {'pci-address': '0000:03:02.1'}},
  })

  // The kubelet and the agent are started anew.
  stop()
  await node.agent.kill()
  node.agent.start()
  await runtime.serving()
  networks.annotate(pod, {[NPWG]: `${asks.slice(0, -1)},{"name":"plain"}]`})
  await networks.told(pod, ...states, 'attached default/plain net4')
  t.deepEqual(got('ADD', pod.name), [...all, 'net4'])
  await serve()
  networks.annotate(pod, {[NPWG]: JSON.stringify([{name: 'fast'}, {name: 'fast', interface: 'more'}])})
  // The other device is free again.
  await networks.told(pod, states[0]!, 'attached default/fast more')
  t.deepEqual(got('DEL', pod.name), all.slice(1).concat('net4').sort())
  t.true(got('ADD', pod.name).includes('more 0000:03:02.0 0000:03:02.0'))
  await runtime.succeeds('DEL', pod, networks.asked(pod))
  await runtime.clean()
  t.deepEqual(got('DEL', pod.name), got('ADD', pod.name))
})

test('a device that the kubelet has not given is refused, at the start and hot', async t => {
  const {networks, given, serve, got} = await start(t)
  const {runtime} = networks
  await serve()
  const foreign = JSON.stringify([{name: 'fast', deviceID: '0000:03:02.7'}])
  const pod = await networks.declare({[NPWG]: foreign})
  given.set('another', ['0000:03:02.7'])
  given.set(pod.name, ['0000:03:02.0'])
  const {msg, code} = await runtime.fails('ADD', pod, networks.asked(pod))
  t.is(code, 7)
  t.regex(msg, /deviceID "0000:03:02\.7" of "intel\.com\/sriov" has not been allocated to this pod/)
  t.deepEqual(got('ADD', pod.name), [])
  networks.annotate(pod, {[NPWG]: 'plain'})
  const started = await networks.wire(pod)
  networks.annotate(pod, {
    [NPWG]: JSON.stringify([
      {name: 'plain'},
      {name: 'fast', deviceID: '0000:03:02.7'},
      {name: 'plain', deviceID: '0000:03:02.9', interface: 'p'},
      {name: 'fast'},
      {name: 'fast'},
    ]),
  })
  await networks.told(
    pod,
    'attached default/plain net1',
    /^failed default\/fast net2 .*has not been allocated to this pod/,
    /^failed default\/plain p .*names no device resource/,
    'attached default/fast net3',
    /^failed default\/fast net4 .*no further device of "intel\.com\/sriov"/,
  )
  t.deepEqual(got('ADD', pod.name), ['net1', 'net3 0000:03:02.0 0000:03:02.0'])
  await runtime.succeeds('DEL', started, networks.asked(started))
  await runtime.clean()
})
