/** What interfaces a pod has, seen from within its namespace. */
import type {Ip} from '../model/ip.ts'
import type {IfIndex} from '../model/net.ts'
import {dumpAddresses} from '../netlink/address.ts'
import {Kernel} from '../netlink/kernel.ts'
import {dumpLinks} from '../netlink/link.ts'
import {netnsPath} from './wiring.ts'

export interface InterfaceSeen {
  readonly name: string
  readonly index: IfIndex
  readonly up: boolean
  /** "veth", "vxlan". */
  readonly kind: string | undefined
  /** Without link-local ones. */
  readonly addresses: readonly Ip[]
}

export class Inside {
  readonly #kernel: Kernel

  /** It must be closed: an open one would keep a deleted namespace alive. */
  static async open(netns: string): Promise<Inside> {
    return new Inside(await Kernel.open({netns: netnsPath(netns)}))
  }

  private constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** By name. */
  async all(): Promise<ReadonlyMap<string, InterfaceSeen>> {
    const [links, addresses] = [await this.#kernel.dump(dumpLinks()), await this.#kernel.dump(dumpAddresses())]
    const global = Map.groupBy(
      addresses.filter(({scope}) => scope === 'global'),
      ({index}) => index,
    )
    return new Map(
      links.map(({name, index, up, kind}) => [
        name,
        {name, index, up, kind, addresses: (global.get(index) ?? []).map(({ip}) => ip)},
      ]),
    )
  }

  async look(name: string): Promise<InterfaceSeen | undefined> {
    return (await this.all()).get(name)
  }

  close(): void {
    this.#kernel.close()
  }
}
