/** A containerd's host with Netgraft, an API server of its own, and networks for pods to ask for. */
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {type Networks, startNetworks} from '../agent/support/networks.ts'
import {leasesIn} from '../agent/support/recorder.ts'
import {UPSTREAM} from './conflist.ts'
import {type Containerd, startContainerd} from './containerd.ts'
import {install} from './install.ts'
import {Kubelet} from './kubelet.ts'

export interface Host {
  readonly containerd: Containerd
  readonly networks: Networks
  readonly kubelet: Kubelet
  /** Of networks green, lan and blue. */
  leases(): string[]
  /** Nothing of any pod is on the node. */
  clean(): Promise<void>
}

/** With kaloom's Network "green" and the definitions "lan", a macvlan, and "blue". */
export async function startHost(t: ExecutionContext): Promise<Host> {
  const containerd = await startContainerd(t, {binFolders: [UPSTREAM]})
  const networks = await startNetworks(t, {
    namespace: containerd.namespace,
    config: {attachments: {criSockets: [containerd.socket]}},
  })
  await install(containerd, networks.node)
  for (const words of ['link add lan0 type veth peer name lan1', 'link set lan0 up', 'link set lan1 up'])
    containerd.namespace.ip(...words.split(' '))
  const leases = join(containerd.folder, 'leases')
  const ipam = (name: string, ...subnets: string[]) => ({
    type: 'host-local',
    dataDir: join(leases, name),
    ranges: subnets.map(subnet => [{subnet}]),
  })
  networks.defineNetwork('green', 'bridge', {
    name: 'green',
    cniVersion: '1.0.0',
    bridge: 'ng-green',
    ipam: ipam('green', '192.168.42.0/24', 'fd00:42::/64'),
  })
  const lan = {cniVersion: '1.0.0', type: 'macvlan', master: 'lan0', mode: 'bridge'}
  networks.define('lan', {...lan, ipam: ipam('lan', '192.168.44.0/24')})
  const blue = {cniVersion: '1.0.0', type: 'bridge', bridge: 'ng-blue'}
  networks.define('blue', {...blue, ipam: ipam('blue', '192.168.43.0/24')})
  return {
    containerd,
    networks,
    kubelet: new Kubelet(t, containerd, networks),
    leases: () => leasesIn(leases),
    clean: async () => {
      await networks.runtime.clean()
      t.deepEqual(leasesIn(leases), [])
    },
  }
}
