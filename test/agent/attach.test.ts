/** Networks that pods ask for by annotation: at the start, and while they run. Needs root. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {bridgeConf, startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'

test.before(built)

const GREEN = 'net9f27410725ab'
const BLUE = 'net48d6215903df'

function leases(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ng-leases-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  return folder
}

const conf = (dataDir: string, name: string, subnet: string, more: object = {}) =>
  bridgeConf(name, subnet, {ipam: {type: 'host-local', dataDir, ranges: [[{subnet}]]}, ...more})

test('attached at the start, taken away and attached again while the pod runs, in both dialects', async t => {
  const networks = await startNetworks(t)
  const dir = leases(t)
  networks.define('green', conf(dir, 'green', '192.168.42.0/24'))
  networks.defineNetwork('blue', 'bridge', conf(dir, 'blue', '192.168.43.0/24'))
  const pod = await networks.start({networks: '[{"name":"green"},{"name":"blue"}]'})
  await networks.has(pod, `${GREEN} 192.168.42.2/24`, `${BLUE} 192.168.43.2/24`)
  t.deepEqual(
    pod.result.interfaces.filter(({sandbox}) => sandbox).map(({name}) => name),
    ['eth0', GREEN, BLUE],
  )
  await networks.told(pod, `attached default/green ${GREEN}`, `attached default/blue ${BLUE}`)
  t.like(networks.status(pod), [
    {name: 'netgraft', interface: 'eth0', default: true},
    {name: 'default/green', interface: GREEN, ips: ['192.168.42.2']},
    {name: 'default/blue', interface: BLUE, ips: ['192.168.43.2']},
  ] as object)
  networks.annotate(pod, {networks: '[{"name":"blue"}]'})
  await networks.has(pod, `${BLUE} 192.168.43.2/24`)
  await networks.told(pod, `attached default/blue ${BLUE}`)
  networks.annotate(pod, {'k8s.v1.cni.cncf.io/networks': 'green'})
  await networks.has(pod, `${BLUE} 192.168.43.2/24`, 'net1 192.168.42.3/24')
  await networks.told(pod, 'attached default/green net1', `attached default/blue ${BLUE}`)
  await networks.node.until(() =>
    networks.events(pod).some(event => event.includes('Attached: attached default/green as net1')),
  )
  t.log(networks.events(pod).join('\n'))
  networks.annotate(pod, {networks: null, 'k8s.v1.cni.cncf.io/networks': null})
  await networks.has(pod)
  networks.annotate(pod, {'k8s.v1.cni.cncf.io/networks': 'green@data'})
  await networks.has(pod, 'data 192.168.42.4/24')
  await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  await networks.runtime.clean()
})
