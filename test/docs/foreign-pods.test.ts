/** What the pages on migration say of pods that another system has made, and that go on running. Needs root. */
import {chmodSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {NODE_FLAGS} from '../../src/lab/node-flags.ts'
import {startCriPeer} from '../agent/support/cri-peer.ts'
import {type Networks, startNetworks} from '../agent/support/networks.ts'
import {BUNDLE, built, run} from '../agent/support/node.ts'
import {Recorder} from '../agent/support/recorder.ts'
import {bridge, UPSTREAM} from '../containerd/conflist.ts'
import {type Containerd, startContainerd} from '../containerd/containerd.ts'
import {until} from '../containerd/install.ts'
import {Kubelet, reaches} from '../containerd/kubelet.ts'

const {serial} = test
test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
const NETWORK_STATUS = 'k8s.v1.cni.cncf.io/network-status'
const THERE =
  'failed default/green net1 "net1" is already there in the pod, and not of our making; remove it, or choose another name'

const statusNames = (networks: Networks, pod: {readonly name: string}): string[] =>
  networks.status(pod, NETWORK_STATUS).map(({name, interface: ifname}) => `${name} ${ifname}`)

serial('its interfaces are left alone and stay in its status; more can be plugged beside them', async t => {
  const peer = await startCriPeer(t)
  const networks = await startNetworks(t, {config: {attachments: {criSockets: [peer.socket]}}})
  const recorder = new Recorder(t)
  for (const [i, name] of ['green', 'blue'].entries())
    networks.define(name, recorder.conf(name, `192.168.${42 + i}.0/24`, {type: 'bridge'}))
  const pod = await networks.declare({[NPWG]: 'green'})
  for (const [name, address] of Object.entries({eth0: '10.5.0.9/24', net1: '192.168.42.77/24'})) {
    pod.namespace.ip('link', 'add', name, 'type', 'bridge')
    pod.namespace.ip('link', 'set', name, 'up')
    pod.namespace.ip('addr', 'add', address, 'dev', name)
  }
  peer.sandboxes.push({id: pod.id, uid: pod.uid, name: pod.name, netns: pod.namespace.path})
  const told = [
    {name: 'cbr0', interface: 'eth0', ips: ['10.5.0.9'], default: true, dns: {}},
    {name: 'default/green', interface: 'net1', ips: ['192.168.42.77'], dns: {}},
  ]
  networks.node.api.patch(
    {resource: 'pods', namespace: 'default', name: pod.name, status: true},
    {
      metadata: {annotations: {[NETWORK_STATUS]: JSON.stringify(told)}},
      status: {phase: 'Running', podIP: '10.5.0.9', podIPs: [{ip: '10.5.0.9'}]},
    },
  )
  await networks.told(pod, THERE)
  t.deepEqual(networks.status(pod, NETWORK_STATUS), told)

  networks.annotate(pod, {[NPWG]: 'blue,green'})
  await networks.has(pod, 'net1 192.168.42.77/24', 'net2 192.168.43.2/24')
  await networks.told(pod, 'attached default/blue net2', THERE)
  t.deepEqual(statusNames(networks, pod), ['cbr0 eth0', 'default/green net1', 'default/blue net2'])

  networks.annotate(pod, {[NPWG]: 'blue'})
  await networks.told(pod, 'attached default/blue net2')
  networks.annotate(pod, {[NPWG]: null})
  await networks.told(pod)
  await networks.has(pod, 'net1 192.168.42.77/24')
})

/** As the systems of the field do it: eth0 by the default network, net1 by another one, for every pod. */
const META = `#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' && exit
cat >/dev/null
PATH=${UPSTREAM}:$PATH
bridge <FOLDER/green.json >/dev/null || exit 1
CNI_IFNAME=eth0 bridge <FOLDER/first.json
`

/** The pods of before are made by it. */
function installMeta({folder, confFolder, binFolder}: Containerd): {readonly green: object} {
  const {plugins, ...list} = bridge(folder) as {plugins: readonly object[]}
  const green = {
    ...{cniVersion: '1.0.0', name: 'green', type: 'bridge', bridge: 'ng-green', isGateway: true},
    ipam: {type: 'host-local', dataDir: join(folder, 'leases'), ranges: [[{subnet: '192.168.42.0/24'}]]},
  }
  writeFileSync(join(folder, 'green.json'), JSON.stringify(green))
  writeFileSync(join(folder, 'first.json'), JSON.stringify({...list, ...plugins[0]}))
  const script = META.replaceAll('FOLDER', folder).replace('bridge <', 'CNI_IFNAME=net1 bridge <')
  writeFileSync(join(binFolder, 'meta'), script)
  chmodSync(join(binFolder, 'meta'), 0o755)
  writeFileSync(join(confFolder, '00-meta.conf'), JSON.stringify({cniVersion: '1.0.0', name: 'meta', type: 'meta'}))
  return {green}
}

serial(
  'the default network is kept: a pod of before goes on, and gives the address of eth0 back at its end',
  async t => {
    const containerd = await startContainerd(t, {conflist: bridge, binFolders: [UPSTREAM]})
    const {green} = installMeta(containerd)
    const networks = await startNetworks(t, {
      namespace: containerd.namespace,
      config: {attachments: {criSockets: [containerd.socket]}},
    })
    networks.define('green', green)
    const kubelet = new Kubelet(t, containerd, networks)
    const isReady = async () => (await containerd.cri.status({})).status.conditions.every(({status}) => status)
    await until(isReady)
    const old = await kubelet.start('old', {[NPWG]: 'green'})
    await networks.has(old, 'net1 192.168.42.2/24')
    await networks.told(old, THERE)

    const {binFolder, confFolder} = containerd
    const words = ['install', '--keep-default', '--cni-bin', binFolder, '--cni-conf', confFolder]
    const install = () =>
      run(process.execPath, [...NODE_FLAGS, BUNDLE, ...words, '--config', networks.node.agent.config])
    const refused = await t.throwsAsync<Error & {stderr: string}>(install())
    t.regex(
      refused!.stderr,
      /00-meta\.conf comes before "05-netgraft\.conflist", and the runtime takes the first; remove it/,
    )
    rmSync(join(confFolder, '00-meta.conf'))
    const {stdout} = await install()
    t.regex(stdout, /10-test\.conflist stays in charge of eth0/)
    // The runtime watches the folder, and may be a moment late.
    await until(async () =>
      Object.values((await containerd.cri.status({verbose: true})).info)
        .join()
        .includes('netgraft'),
    )

    const young = await kubelet.start('young', {[NPWG]: 'green'})
    await networks.has(young, 'net1 192.168.42.3/24')
    t.not(young.ip, old.ip)
    for (const address of [old.ip, '192.168.42.2']) t.true(await reaches(young, address), address)

    const leases = (name: string) =>
      readdirSync(join(containerd.folder, 'leases', name)).filter(each => /^[\d.]+$/.test(each))
    t.deepEqual([leases('test').length, leases('green').length], [2, 2])
    await kubelet.remove(old)
    t.deepEqual(leases('test'), [young.ip])
    t.deepEqual(leases('green').toSorted(), ['192.168.42.2', '192.168.42.3'])
    await kubelet.remove(young)
    t.deepEqual([leases('test'), leases('green')], [[], ['192.168.42.2']])
  },
)
