/**
 * Networks attached and detached on running pods, shown on the example that Kactus is known by: two pods on the networks
 * green and blue. Bridges stand in for its VLANs, so both pods are on one node.
 */
import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {pathOf} from '../kube/client.ts'
import type {Family} from '../model/ip.ts'
import type {IfIndex} from '../model/net.ts'
import type {Stage, Story} from './example.ts'
import type {Inside, InterfaceSeen} from './inside.ts'
import type {LabPod} from './pods.ts'

/** "net" and twelve digits of the name's MD5. */
const NETWORKS = {
  green: {ifname: 'net9f27410725ab', ranges: {4: '192.168.42', 6: 'fd10:42'}},
  blue: {ifname: 'net48d6215903df', ranges: {4: '192.168.43', 6: 'fd10:43'}},
} as const
type NetworkName = keyof typeof NETWORKS
const BOTH = ['green', 'blue'] as const
const APPS = ['app1', 'app2'] as const

const STATUS = 'k8s.v1.cni.cncf.io/network-status'

export const ATTACHMENTS: Story = {
  name: 'attachments',
  nodes: 1,
  hint: `annotate pod app1 networks='[{"name":"green"}]' --overwrite`,
  tell: stage => new Attachments(stage).tell(),
}

class Attachments {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async tell(): Promise<void> {
    const stage = this.#stage
    const node = stage.nodes[0]!
    for (const name of BOTH) await this.#define(name)
    const [app1, app2] = await stage.step(`app1 and app2 start on ${node.name} with green and blue`, async () => {
      for (const name of APPS) await stage.create({name, node: node.name, annotations: {networks: listOf(BOTH)}})
      return () => this.#started()
    })
    const [inside1, inside2] = [await stage.inside(app1), await stage.inside(app2)]
    await this.#told('app1', inside1)
    for (const network of BOTH) await this.#ping(network, app1, inside2)

    const green = await inside1.look(NETWORKS.green.ifname)
    await this.#edit('blue is taken from the running app1', ['green'], inside1)
    await this.#ping('green', app1, inside2)
    await this.#edit('blue is given back to it', BOTH, inside1)
    await this.#ping('blue', app1, inside2)

    await node.agent.stop('SIGKILL')
    await this.#annotate(['green'])
    await stage.step(
      `${node.name}'s agent is killed, blue taken from app1 meanwhile: gone after its restart`,
      async () => {
        await node.agent.start()
        return async () => (await this.#has(inside1, ['green'])) && (await this.#same(inside1, green?.index))
      },
    )
    await this.#ping('green', app1, inside2)
    await this.#edit('blue is given back to it', BOTH, inside1)
    await this.#ping('blue', app1, inside2)
    if (stage.remove) await this.#delete()
  }

  async #define(name: NetworkName): Promise<void> {
    const {ranges} = NETWORKS[name]
    const range = {
      4: {subnet: `${ranges[4]}.0/24`, rangeStart: `${ranges[4]}.10`, rangeEnd: `${ranges[4]}.99`},
      6: {subnet: `${ranges[6]}::/64`},
    }
    const ipam = {
      type: 'host-local',
      dataDir: this.#leases,
      ranges: this.#families.map(family => [range[family]]),
    }
    const config = JSON.stringify({cniVersion: '1.0.0', bridge: `br-${name}`, ipam})
    const body = {apiVersion: 'kaloom.com/v1', kind: 'Network', metadata: {name}, spec: {plugin: 'bridge', config}}
    const path = pathOf({group: 'kaloom.com', version: 'v1', resource: 'networks', namespace: 'default'})
    await this.#stage.request('POST', path, {body})
  }

  get #families(): readonly Family[] {
    return this.#stage.lab.plan.families
  }

  /** Of nobody else's networks of these names. */
  get #leases(): string {
    return join(this.#stage.lab.folder, 'leases')
  }

  /** With all of their interfaces in place. */
  async #started(): Promise<readonly [LabPod, LabPod] | undefined> {
    const [app1, app2] = this.#stage.pods(APPS) ?? []
    if (!app1 || !app2) return undefined
    for (const pod of [app1, app2]) if (!(await this.#has(await this.#stage.inside(pod), BOTH))) return undefined
    return [app1, app2]
  }

  async #told(name: string, inside: Inside): Promise<void> {
    await this.#stage.step(
      `${name}'s annotation network-status tells of both, with their addresses`,
      async () => async () => {
        const annotations = await this.#stage.annotationsOf(name)
        const statuses = JSON.parse(annotations[STATUS] ?? '[]') as Status[]
        for (const network of BOTH) {
          const status = statuses.find(each => each.name === `default/${network}`)
          const seen = await inside.look(NETWORKS[network].ifname)
          const addresses = seen?.addresses.map(String).sort().join(' ')
          if (status?.interface !== seen?.name || status?.ips?.toSorted().join(' ') !== addresses) return false
        }
        return true
      },
    )
  }

  async #ping(network: NetworkName, from: LabPod, app2: Inside): Promise<void> {
    const {addresses = []} = (await app2.look(NETWORKS[network].ifname)) ?? {}
    await this.#stage.reach(`app1 reaches app2 over ${network}: ${addresses.join(' ')}`, [{from, addresses}])
  }

  async #edit(text: string, networks: readonly NetworkName[], inside: Inside): Promise<void> {
    await this.#stage.step(text, async () => {
      await this.#annotate(networks)
      return () => this.#has(inside, networks)
    })
  }

  #annotate(networks: readonly NetworkName[]): Promise<void> {
    return this.#stage.annotate('app1', {networks: listOf(networks)})
  }

  /** Whether a pod has these networks, up and with an address of each family, and none else. */
  async #has(inside: Inside, networks: readonly NetworkName[]): Promise<boolean> {
    const seen = await inside.all()
    const whole = (one: InterfaceSeen | undefined) =>
      one?.up === true && this.#families.every(family => one.addresses.some(ip => ip.family === family))
    return BOTH.every(network => {
      const one = seen.get(NETWORKS[network].ifname)
      return networks.includes(network) ? whole(one) : one === undefined
    })
  }

  /** Whether green is still the interface that it was. */
  async #same(inside: Inside, index: IfIndex | undefined): Promise<boolean> {
    return (await inside.look(NETWORKS.green.ifname))?.index === index
  }

  async #delete(): Promise<void> {
    await this.#stage.step('app1 and app2 are deleted: nothing of them is left', async () => {
      for (const name of APPS) await this.#stage.delete(name)
      return async () => APPS.every(name => this.#stage.isGone(name)) && (await leasesIn(this.#leases)) === 0
    })
  }
}

interface Status {
  readonly name: string
  readonly interface?: string
  readonly ips?: readonly string[]
}

const listOf = (networks: readonly NetworkName[]): string => JSON.stringify(networks.map(name => ({name})))

/** Addresses that are still given out: host-local keeps a file for each. */
async function leasesIn(folder: string): Promise<number> {
  const files = await readdir(folder, {recursive: true}).catch(() => [])
  return files.filter(file => /[/]\d+[.]\d+[.]|[/][\da-f]*:/.test(file)).length
}
