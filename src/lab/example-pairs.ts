/**
 * Pods that are connected in pairs: the two that Ratchet is known by, by its labels, and a ring by our own annotation, of
 * which one pod comes back on another node.
 */
import {pathOf} from '../kube/client.ts'
import {parseIpWithPrefix} from '../model/ip.ts'
import type {PairState} from '../model/pair.ts'
import {dumpLinks} from '../netlink/link.ts'
import type {PingsFrom, Stage, Story} from './example.ts'
import type {PairSeen} from './pair-seen.ts'
import {changesOf, countKinds, kindOf, type LinkEnd, mover, type PodLink, pairsOf, planRing, type Ring} from './ring.ts'

const STATUS = 'netgraft.dev/pairs-status'
/** Of links that belong to a pair. */
const ALIAS = 'netgraft:pair:'

export const PAIRS: Story = {
  name: 'pairs',
  nodes: 3,
  hint: 'get pairs',
  tell: stage => new Pairs(stage).tell(),
}

const RATCHET: PodLink = {
  ends: [
    {pod: 'primary-pod', ifname: 'in1', ips: [parseIpWithPrefix('192.168.2.100/24')]},
    {pod: 'pair-pod', ifname: 'in2', ips: [parseIpWithPrefix('192.168.2.101/24')]},
  ],
}

/** As Ratchet's example has them. */
const LABELS = {
  'primary-pod': {
    app: 'primary-pod',
    ratchet: 'true',
    'ratchet.pod_name': 'primary-pod',
    'ratchet.target_pod': 'primary-pod',
    'ratchet.target_container': 'primary-pod',
    'ratchet.public_ip': '1.1.1.1',
    'ratchet.local_ip': '192.168.2.100',
    'ratchet.local_ifname': 'in1',
    'ratchet.pair_name': 'pair-pod',
    'ratchet.pair_ip': '192.168.2.101',
    'ratchet.pair_ifname': 'in2',
    'ratchet.primary': 'true',
  },
  'pair-pod': {app: 'pair-pod', ratchet: 'true', 'ratchet.pod_name': 'pair-pod', 'ratchet.primary': 'false'},
} as const

class Pairs {
  readonly #stage: Stage
  readonly #ring: Ring
  /** Where each pod is, or is to be. */
  readonly #nodes: Map<string, string>

  constructor(stage: Stage) {
    this.#stage = stage
    const names = stage.nodes.map(({name}) => name)
    this.#ring = planRing(names, stage.lab.plan.families)
    this.#nodes = new Map([...Object.keys(LABELS).map(name => [name, names[0]!] as const), ...this.#ring.nodes])
  }

  async tell(): Promise<void> {
    const stage = this.#stage
    const {links} = this.#ring
    const [first] = stage.nodes
    await stage.step(
      `primary-pod and pair-pod start on ${first!.name} with Ratchet's labels: in1 and in2 are connected`,
      async () => {
        for (const [name, labels] of Object.entries(LABELS)) await stage.create({name, node: first!.name, labels})
        return () => this.#stand([RATCHET])
      },
    )
    await this.#pings([RATCHET], addresses => `they reach each other: ${and(addresses)}`)

    const ring = [...this.#ring.nodes]
    const carries = ({length}: readonly string[]) =>
      `all links of the ring carry pings, both ways: ${length} of ${length}`
    const kinds = countKinds(links.map(link => kindOf(link, this.#nodes)))
    await stage.step(
      `ring-1 to ring-${ring.length} start on ${and(stage.nodes.map(({name}) => name))}, paired by annotation: ${kinds}`,
      async () => {
        for (const [name, node] of ring) await this.#createInRing(name, node)
        return () => this.#stand(links)
      },
    )
    await this.#pings(links, carries)
    await this.#told()

    await this.#move(mover(this.#ring))
    await this.#pings(links, carries)
    await this.#told()
    if (stage.remove) await this.#delete()
  }

  async #createInRing(name: string, node: string): Promise<void> {
    const annotations = {'netgraft.dev/pairs': pairsOf(name, this.#ring.links)}
    await this.#stage.create({name, node, annotations})
  }

  /** To the second node, if there is one. */
  async #move(name: string): Promise<void> {
    const stage = this.#stage
    const links = this.#ring.links.filter(({ends}) => ends.some(({pod}) => pod === name))
    const others = links.flatMap(({ends}) => ends.filter(({pod}) => pod !== name))
    await stage.step(`${name} is deleted: its links are gone from ${and(others.map(({pod}) => pod))}`, async () => {
      await stage.delete(name)
      return async () => stage.isGone(name) && (await this.#none(others))
    })
    const before = new Map(this.#nodes)
    const node = (stage.nodes[1] ?? stage.nodes[0])!.name
    this.#nodes.set(name, node)
    const changes = changesOf(links, before, this.#nodes) || 'as before, there being no other node'
    await stage.step(`it is made anew on ${node}: ${changes}`, async () => {
      await this.#createInRing(name, node)
      return () => this.#stand(links)
    })
  }

  /** Both ends of each are up in their pods, of the right kind, with their addresses. */
  async #stand(links: readonly PodLink[]): Promise<boolean> {
    for (const link of links) {
      const kind = kindOf(link, this.#nodes)
      for (const {pod: name, ifname, ips} of link.ends) {
        const pod = this.#stage.pod(name)
        const seen = pod && (await (await this.#stage.inside(pod)).look(ifname))
        if (!seen?.up || seen.kind !== kind) return false
        if (sorted(seen.addresses) !== sorted(ips.map(({ip}) => ip))) return false
      }
    }
    return true
  }

  async #none(ends: readonly LinkEnd[]): Promise<boolean> {
    for (const {pod, ifname} of ends)
      if (await (await this.#stage.inside(this.#stage.pod(pod)!)).look(ifname)) return false
    return true
  }

  /** Over each link, from both of its ends, in each family. */
  async #pings(links: readonly PodLink[], text: (addresses: readonly string[]) => string): Promise<void> {
    const wishes = links.flatMap(({ends: [a, b]}) => [
      {from: a.pod, ips: b.ips},
      {from: b.pod, ips: a.ips},
    ])
    const pings = [...Map.groupBy(wishes, ({from}) => from)].map(
      ([from, group]): PingsFrom => ({
        from: this.#stage.pod(from)!,
        addresses: group.flatMap(({ips}) => ips.map(({ip}) => ip)),
      }),
    )
    await this.#stage.reach(text(pings.flatMap(({addresses}) => addresses.map(String))), pings)
  }

  async #told(): Promise<void> {
    const links = [RATCHET, ...this.#ring.links]
    const kinds = countKinds(links.map(link => kindOf(link, this.#nodes)))
    await this.#stage.step(
      `"kubectl get pairs" and the pods' status tell of ${kinds}, all up`,
      async () => async () => {
        const pairs = [...this.#stage.lab.pairObjects.values()]
        if (!links.every(link => pairs.some(pair => isUp(pair, link, kindOf(link, this.#nodes))))) return false
        for (const name of this.#nodes.keys()) {
          const states = JSON.parse((await this.#stage.annotationsOf(name))[STATUS] ?? '[]') as PairState[]
          const right = links.every(link => {
            const end = link.ends.find(({pod}) => pod === name)
            const state = end && states.find(each => each.interface === end.ifname)
            return !end || (state?.state === 'up' && state.kind === kindOf(link, this.#nodes))
          })
          if (!right) return false
        }
        return true
      },
    )
  }

  async #delete(): Promise<void> {
    const names = [...this.#nodes.keys()]
    await this.#stage.step('all of them are deleted: no link, pair or VNI is left', async () => {
      for (const name of names) await this.#stage.delete(name)
      return async () => names.every(name => this.#stage.isGone(name)) && (await this.#isClean())
    })
  }

  async #isClean(): Promise<boolean> {
    for (const {kernel} of this.#stage.nodes)
      if ((await kernel.dump(dumpLinks())).some(({alias}) => alias?.startsWith(ALIAS))) return false
    for (const resource of ['pairs', 'pairpods', 'vnis']) {
      const path = pathOf({group: 'netgraft.dev', version: 'v1alpha1', resource})
      const {items} = (await this.#stage.request('GET', path)) as {items: readonly unknown[]}
      if (items.length > 0) return false
    }
    return true
  }
}

const isUp = ({ends, kind, state}: PairSeen, link: PodLink, wanted: string): boolean =>
  state === 'up' &&
  kind === wanted &&
  link.ends.every(end => ends.some(({pod, interface: ifname}) => pod === end.pod && ifname === end.ifname))

const sorted = (items: readonly unknown[]): string => items.map(String).sort().join(' ')

/** "n1, n2 and n3" */
const and = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
