/** What the kernel's neighbour table tells of nodes: the MAC behind an IPv4 address, and so an IPv6 link-local one. */
import type {Ip} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import type {IfIndex, Mac, NextHop} from '../model/net.ts'
import {eui64} from './node-addresses.ts'
import {type Underlay, wayTo} from './underlay.ts'

/** An address on one of this node's subnets. */
export interface Neighbourly {
  readonly index: IfIndex
  readonly ip: Ip
}

interface Asked extends Neighbourly {
  readonly mac: Mac | undefined
}

/** Looks again and again. */
export class NeighbourhoodWatch {
  #last: Neighbourhood | undefined

  /** The same object as the last time, if all it was asked would be answered the same. */
  look(kernel: KernelState, underlay: Underlay): Neighbourhood {
    const next = new Neighbourhood(kernel, underlay, this.#last)
    if (!this.#last || !next.agrees()) this.#last = next
    else this.#last.renew(kernel, underlay)
    return this.#last
  }
}

/**
 * One look at the table. It notes what it is asked: equal answers to the same questions make an equal plan. A MAC once
 * known stays so when the kernel forgets the entry: the route through it is still the best guess.
 */
class Neighbourhood {
  #kernel: KernelState
  #underlay: Underlay
  readonly #before: ReadonlyMap<string, Asked>
  readonly #asked = new Map<string, Asked>()

  constructor(kernel: KernelState, underlay: Underlay, before: Neighbourhood | undefined) {
    this.#kernel = kernel
    this.#underlay = underlay
    this.#before = before ? before.#asked : new Map()
  }

  renew(kernel: KernelState, underlay: Underlay): void {
    this.#kernel = kernel
    this.#underlay = underlay
  }

  /** Over the first of a node's IPv4 addresses that is on a subnet and resolved. */
  overLinkLocal(addresses: readonly Ip[]): NextHop | undefined {
    for (const ip of addresses) {
      const dev = ip.family === 4 ? wayTo(this.#underlay, ip)?.dev : undefined
      if (dev === undefined) continue
      const mac = this.#macOf({index: dev, ip})
      this.#asked.set(`${ip}`, {index: dev, ip, mac})
      if (mac) return {gateway: eui64(mac), dev}
    }
    return undefined
  }

  /** What the kernel should be made to look for. */
  get unresolved(): readonly Neighbourly[] {
    return [...this.#asked.values()].filter(({mac}) => mac === undefined)
  }

  /** Whether the look before would be answered the same now. */
  agrees(): boolean {
    return [...this.#before.values()].every(asked => this.#macOf(asked) === asked.mac)
  }

  #macOf({index, ip}: Neighbourly): Mac | undefined {
    const text = `${ip}`
    const mac =
      this.#kernel.neighbours.get(index)?.get(text)?.mac ?? this.#asked.get(text)?.mac ?? this.#before.get(text)?.mac
    return mac && isOfOneHost(mac) ? mac : undefined
  }
}

/** Not that of a group, nor the zeros of a device that has none. */
const isOfOneHost = (mac: Mac): boolean => !(Number.parseInt(mac.slice(0, 2), 16) & 1) && mac !== '00:00:00:00:00:00'
