/**
 * Networks attached and detached on running pods, shown on the example that Kactus is known by: two pods on the networks
 * green and blue. Bridges stand in for its VLANs, so both pods are on one node.
 */
import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {pathOf} from '../kube/client.ts'
import type {Family} from '../model/ip.ts'
import type {IfIndex} from '../model/net.ts'
import {sleep} from '../streams/lifetime.ts'
import {Inside, type InterfaceSeen} from './inside.ts'
import type {Lab} from './lab.ts'
import type {LabPod} from './pods.ts'

/** One thing that was to be seen. */
export interface Step {
  /** Since the lab's start, in milliseconds. */
  readonly at: number
  /** What was done, and what followed. */
  readonly text: string
  /** Milliseconds that it took; undefined: it has not come true. */
  readonly ms: number | undefined
}

export interface ExampleOptions {
  /** Ends with the pods' deletion. */
  readonly remove: boolean
  readonly signal: AbortSignal
  readonly tell: (step: Step) => void
}

/** "net" and twelve digits of the name's MD5. */
const NETWORKS = {
  green: {ifname: 'net9f27410725ab', ranges: {4: '192.168.42', 6: 'fd10:42'}},
  blue: {ifname: 'net48d6215903df', ranges: {4: '192.168.43', 6: 'fd10:43'}},
} as const
type NetworkName = keyof typeof NETWORKS
const BOTH = ['green', 'blue'] as const

/** Milliseconds until what does not come true has failed. */
const PATIENCE = 10_000
const START_PATIENCE = 30_000
const STATUS = 'k8s.v1.cni.cncf.io/network-status'
const MERGE_PATCH = 'application/merge-patch+json'
const PODS = {group: '', version: 'v1', resource: 'pods', namespace: 'default'} as const

/** Resolves with whether everything has come true. What fails ends it, since the rest would fail for that alone. */
export async function showExample(lab: Lab, options: ExampleOptions): Promise<boolean> {
  const tell = (step: Step) => {
    lab.example.push(step)
    options.tell(step)
  }
  const example = new Example(lab, {...options, tell})
  try {
    await example.run()
    return true
  } catch (error) {
    if (!(error instanceof NotSeen) && !options.signal.aborted)
      tell({at: lab.elapsed, text: `it ended: ${(error as Error).message}`, ms: undefined})
    return false
  } finally {
    example.close()
  }
}

class NotSeen extends Error {}

class Example {
  readonly #lab: Lab
  readonly #options: ExampleOptions
  readonly #insides: Inside[] = []

  constructor(lab: Lab, options: ExampleOptions) {
    this.#lab = lab
    this.#options = options
  }

  close(): void {
    for (const inside of this.#insides) inside.close()
  }

  async run(): Promise<void> {
    const node = this.#lab.nodes[0]!
    for (const name of BOTH) await this.#define(name)
    const apps = await this.#step(
      `app1 and app2 start on ${node.name} with green and blue`,
      START_PATIENCE,
      async () => {
        for (const name of ['app1', 'app2']) await this.#create(name, node.name)
        return () => this.#started()
      },
    )
    const [app1, app2] = await Promise.all(apps.map(pod => this.#open(pod)))
    await this.#told('app1', app1!)
    for (const network of BOTH) await this.#ping(network, apps, app2!)

    const green = await app1!.look(NETWORKS.green.ifname)
    await this.#edit('blue is taken from the running app1', ['green'], app1!)
    await this.#ping('green', apps, app2!)
    await this.#edit('blue is given back to it', BOTH, app1!)
    await this.#ping('blue', apps, app2!)

    await node.agent.stop('SIGKILL')
    await this.#annotate('app1', ['green'])
    await this.#step(
      `${node.name}'s agent is killed, blue taken from app1 meanwhile: gone after its restart`,
      PATIENCE,
      async () => {
        await node.agent.start()
        return async () => (await this.#has(app1!, ['green'])) && (await this.#same(app1!, green?.index))
      },
    )
    await this.#ping('green', apps, app2!)
    await this.#edit('blue is given back to it', BOTH, app1!)
    await this.#ping('blue', apps, app2!)
    if (this.#options.remove) await this.#delete(apps)
  }

  /** Does something, then looks again and again until what follows is there. */
  async #step<T>(text: string, patience: number, act: () => Promise<() => Promise<T | undefined | false>>): Promise<T> {
    const {signal, tell} = this.#options
    const began = performance.now()
    const look = await act()
    for (;;) {
      signal.throwIfAborted()
      const seen = await look()
      const ms = performance.now() - began
      if (seen !== undefined && seen !== false) {
        tell({at: this.#lab.elapsed, text, ms})
        return seen
      }
      if (ms > patience) {
        tell({at: this.#lab.elapsed, text: `${text}: not within ${patience / 1000} s`, ms: undefined})
        throw new NotSeen()
      }
      // Exact where it is quick, and no burden where it is not.
      await sleep(ms < 200 ? 1 : 20, signal)
    }
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
    await this.#lab.client.request('POST', path, {body, signal: this.#options.signal})
  }

  get #families(): readonly Family[] {
    return this.#lab.plan.families
  }

  /** Of nobody else's networks of these names. */
  get #leases(): string {
    return join(this.#lab.folder, 'leases')
  }

  async #create(name: string, nodeName: string): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {name, labels: {app: name}, annotations: {networks: listOf(BOTH)}},
      spec: {nodeName, containers: [{name: 'namespace', image: 'none'}]},
    }
    await this.#lab.client.request('POST', pathOf(PODS), {body, signal: this.#options.signal})
  }

  /** With all of their interfaces in place. */
  async #started(): Promise<readonly [LabPod, LabPod] | undefined> {
    const [app1, app2] = ['app1', 'app2'].map(name => this.#lab.pods.find(pod => pod.name === name && pod.addMs))
    if (!app1 || !app2) return undefined
    for (const pod of [app1, app2]) {
      const inside = await Inside.open(pod.netns)
      try {
        if (!(await this.#has(inside, BOTH))) return undefined
      } finally {
        inside.close()
      }
    }
    return [app1, app2]
  }

  async #open(pod: LabPod): Promise<Inside> {
    const inside = await Inside.open(pod.netns)
    this.#insides.push(inside)
    return inside
  }

  async #told(name: string, inside: Inside): Promise<void> {
    await this.#step(
      `${name}'s annotation network-status tells of both, with their addresses`,
      PATIENCE,
      async () => async () => {
        const {metadata} = (await this.#lab.client.request('GET', pathOf(PODS, name), {
          signal: this.#options.signal,
        })) as {metadata: {annotations?: Record<string, string>}}
        const statuses = JSON.parse(metadata.annotations?.[STATUS] ?? '[]') as Status[]
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

  async #ping(network: NetworkName, [app1]: readonly LabPod[], app2: Inside): Promise<void> {
    const seen = await app2.look(NETWORKS[network].ifname)
    const addresses = seen?.addresses ?? []
    await this.#step(`app1 reaches app2 over ${network}: ${addresses.join(' ')}`, PATIENCE, async () => async () => {
      const answers = await this.#lab.pingAddresses(app1!, addresses)
      return answers.length === this.#families.length && answers.every(ms => ms !== undefined)
    })
  }

  async #edit(text: string, networks: readonly NetworkName[], inside: Inside): Promise<void> {
    await this.#step(text, PATIENCE, async () => {
      await this.#annotate('app1', networks)
      return () => this.#has(inside, networks)
    })
  }

  async #annotate(name: string, networks: readonly NetworkName[]): Promise<void> {
    await this.#lab.client.request('PATCH', pathOf(PODS, name), {
      body: {metadata: {annotations: {networks: listOf(networks)}}},
      contentType: MERGE_PATCH,
      signal: this.#options.signal,
    })
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

  async #delete(apps: readonly LabPod[]): Promise<void> {
    // What is held open would keep their namespaces.
    this.close()
    await this.#step('app1 and app2 are deleted: nothing of them is left', PATIENCE, async () => {
      for (const {name} of apps)
        await this.#lab.client.request('DELETE', pathOf(PODS, name), {signal: this.#options.signal})
      return async () =>
        apps.every(app => !this.#lab.pods.some(pod => pod.name === app.name)) && (await leasesIn(this.#leases)) === 0
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
