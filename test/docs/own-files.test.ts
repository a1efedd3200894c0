/** The CNI configurations that pages on migration have readers write themselves, with a real containerd. Needs root. */
import {renameSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {hashName} from '../../src/attach/names.ts'
import {NODE_FLAGS} from '../../src/lab/node-flags.ts'
import {type Networks, startNetworks} from '../agent/support/networks.ts'
import {BUNDLE, built, run} from '../agent/support/node.ts'
import {bridge, UPSTREAM} from '../containerd/conflist.ts'
import {startContainerd} from '../containerd/containerd.ts'
import {until} from '../containerd/install.ts'
import {Kubelet} from '../containerd/kubelet.ts'
import {readPage} from './support/page.ts'

const {serial} = test
test.before(built)

type Json = {readonly [key: string]: unknown}

/** The page's file. flannel is not there: a bridge stands in for it; leases are the test's. */
function fileOf(page: string, folder: string, socket: string, spool: string): string {
  const [block, ...more] = readPage(`docs/howto/${page}`).filter(({language}) => language === 'json')
  if (!block || more.length > 0) throw new Error(`${page} has not one file`)
  const first = {...(bridge(folder) as {plugins: Json[]}).plugins[0]!, name: 'test'}
  const config = JSON.parse(block.text, (_, value: Json) => {
    if (value?.type === 'host-local') return {...value, dataDir: join(folder, 'leases')}
    if (value?.type !== 'flannel') return value
    return {...first, ...(value.masterPlugin === true && {masterPlugin: true})}
  })
  return JSON.stringify({...config, socket, spool})
}

async function start(t: ExecutionContext, page: string, name: string, instead: Json = {}) {
  const containerd = await startContainerd(t, {binFolders: [UPSTREAM]})
  const networks = await startNetworks(t, {
    namespace: containerd.namespace,
    config: {attachments: {criSockets: [containerd.socket]}},
  })
  const {binFolder, confFolder, folder} = containerd
  const {socket, spool} = networks.runtime
  const file = {...JSON.parse(fileOf(page, folder, socket, spool)), ...instead}
  writeFileSync(join(folder, 'new'), JSON.stringify(file))
  renameSync(join(folder, 'new'), join(confFolder, name))
  const words = ['install', '--any-order', '--cni-bin', binFolder, '--cni-conf', confFolder]
  await run(process.execPath, [...NODE_FLAGS, BUNDLE, ...words, '--config', networks.node.agent.config])
  const {cri} = containerd
  await until(async () => (await cri.status({})).status.conditions.every(({status}) => status))
  return {containerd, networks, kubelet: new Kubelet(t, containerd, networks)}
}

serial("kactus': each pod has the master's network and the other delegates'", async t => {
  const {networks, kubelet} = await start(t, 'migrate-from-kactus.md', '04-mine.conf')
  const pod = await kubelet.start('a')
  t.is(pod.ip, '10.99.0.2')
  await networks.has(pod, `${hashName('data')} 10.124.0.2/16`)
  await kubelet.remove(pod)
  await networks.runtime.clean()
})

serial("ratchet's: the label decides between delegate and boot_network", async t => {
  const {networks, kubelet} = await start(t, 'migrate-from-ratchet.md', '01-netgraft-ratchet.conf')
  const plain = await kubelet.start('plain')
  t.is(plain.ip, '10.99.0.2')
  declareLabelled(networks, kubelet)
  const labelled = await kubelet.run('labelled')
  t.is(labelled.ip, '10.123.0.2')
  await kubelet.remove(plain, labelled)
})

serial("ratchet's usual boot_network gives no address, and containerd refuses the pod", async t => {
  const boot = {boot_network: {type: 'loopback'}}
  const {networks, kubelet} = await start(t, 'migrate-from-ratchet.md', '01-netgraft-ratchet.conf', boot)
  declareLabelled(networks, kubelet)
  const {message} = await t.throwsAsync(kubelet.run('labelled'))
  t.regex(message, /failed to find network info for sandbox/)
})

function declareLabelled(networks: Networks, kubelet: Kubelet): void {
  kubelet.declare('labelled')
  const labels = {ratchet: 'true', 'ratchet.pod_name': 'labelled', 'ratchet.primary': 'false'}
  networks.node.api.patch({resource: 'pods', namespace: 'default', name: 'labelled'}, {metadata: {labels}})
}
