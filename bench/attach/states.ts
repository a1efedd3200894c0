/** What pods have after all edits, everywhere where it can be seen. */
import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {dumpAddresses} from '../../src/netlink/address.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {dumpLinks} from '../../src/netlink/link.ts'
import type {Site} from '../site.ts'
import {bridgeOf, FURTHER, networkName, prefixOf} from './networks.ts'
import {readPod} from './objects.ts'
import type {Pod} from './pods.ts'
import type {Session} from './session.ts'

export interface Interface {
  readonly name: string
  readonly up: boolean
  /** IPv4. */
  readonly addresses: readonly string[]
}

/** The namespaces of pods, open for as long as this is. */
export class States {
  readonly #kernels: ReadonlyMap<string, Kernel>

  static async open(pods: readonly Pod[]): Promise<States> {
    const kernels = new Map<string, Kernel>()
    for (const {sandbox} of pods) kernels.set(sandbox, await Kernel.open({netns: sandbox}))
    return new States(kernels)
  }

  private constructor(kernels: ReadonlyMap<string, Kernel>) {
    this.#kernels = kernels
  }

  /** Beside lo and eth0. */
  async interfaces({sandbox}: Pod): Promise<Interface[]> {
    const kernel = this.#kernels.get(sandbox)!
    const links = await kernel.dump(dumpLinks())
    const addresses = await kernel.dump(dumpAddresses({family: 4}))
    return links
      .filter(({name}) => name !== 'lo' && name !== 'eth0')
      .map(({index, name, up}) => ({
        name,
        up,
        addresses: addresses.filter(each => each.index === index).map(each => String(each.ip)),
      }))
  }

  close(): void {
    for (const kernel of this.#kernels.values()) kernel.close()
  }
}

/** "n2@a2": a2, up, with one address of that network. */
export function hasWhatIsAsked(has: readonly Interface[], networks: string): boolean {
  const wanted = elementsOf(networks)
  return (
    has.length === wanted.length &&
    wanted.every(({network, ifname}) => {
      const {up, addresses} = has.find(({name}) => name === ifname) ?? {up: false, addresses: []}
      return up && addresses.length === 1 && addresses[0]!.startsWith(prefixOf(Number(network.slice(1))))
    })
  )
}

/** Sentences: of pods' status annotations, leases on disk, and interfaces of the node. */
export async function wrongStates(
  {api, leases, node}: Session,
  states: States,
  pods: readonly Pod[],
  asked: ReadonlyMap<string, string>,
): Promise<string[]> {
  const wrong: string[] = []
  const wantedLeases = new Map<string, string[]>()
  for (const pod of pods) {
    const wanted = elementsOf(asked.get(pod.name) ?? '')
    const has = await states.interfaces(pod)
    for (const {network, ifname} of wanted) {
      const addresses = has.find(({name}) => name === ifname)?.addresses ?? []
      wantedLeases.set(network, [...(wantedLeases.get(network) ?? []), ...addresses])
    }
    const {annotations = {}} = (await readPod(api, pod.name)).metadata
    const told = JSON.parse(annotations['k8s.v1.cni.cncf.io/network-status'] ?? '[]') as {
      interface: string
      ips?: string[]
    }[]
    const said = told.filter(each => each.interface !== 'eth0').map(each => `${each.interface} ${each.ips}`)
    const true_ = has.map(({name, addresses}) => `${name} ${addresses}`)
    if (said.sort().join() !== true_.sort().join())
      wrong.push(`${pod.name}: network-status says ${said}, it has ${true_}`)
    const own = JSON.parse(annotations['netgraft.dev/attachments-status'] ?? '[]') as {
      interface: string
      state: string
    }[]
    const states_ = own.map(each => `${each.interface} ${each.state}`)
    if (states_.join() !== wanted.map(({ifname}) => `${ifname} attached`).join())
      wrong.push(`${pod.name}: attachments-status says ${states_}`)
  }
  for (let n = 0; n < FURTHER; n++) {
    const files = await readdir(join(leases.ours, networkName(n))).catch((): string[] => [])
    const taken = files.filter(name => /^\d+\./.test(name)).sort()
    const wanted = [...(wantedLeases.get(networkName(n)) ?? [])].sort()
    if (taken.join() !== wanted.join()) wrong.push(`${networkName(n)}: leases of ${taken}, in use are ${wanted}`)
  }
  wrong.push(...(await wrongPorts(node, pods.length, wantedLeases)))
  return wrong
}

/** Of each bridge as many as there are pods on it, and no other virtual interface than theirs, eth0 and its other end. */
async function wrongPorts(
  {path}: Site,
  pods: number,
  leases: ReadonlyMap<string, readonly string[]>,
): Promise<string[]> {
  const kernel = await Kernel.open({netns: path})
  try {
    const links = await kernel.dump(dumpLinks())
    const wrong: string[] = []
    let wanted = 2 + pods
    for (const [network, {length}] of leases) {
      wanted += length
      const bridge = links.find(({name}) => name === bridgeOf(network))
      const ports = links.filter(({master}) => bridge && master === bridge.index).length
      if (ports !== length) wrong.push(`the bridge of ${network} has ${ports} ports, ${length} pods are on it`)
    }
    const veths = links.filter(({kind}) => kind === 'veth').length
    if (veths !== wanted) wrong.push(`the node has ${veths} ends of veths, not ${wanted}`)
    return wrong
  } finally {
    kernel.close()
  }
}

const elementsOf = (networks: string) =>
  networks
    .split(',')
    .filter(element => element !== '')
    .map(element => {
      const [network, ifname] = element.split('@') as [string, string]
      return {network, ifname}
    })
