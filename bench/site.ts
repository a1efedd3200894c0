/** The network of the node that is measured: a namespace of the run with eth0 in the nodes' subnets. */
import {namespacePrefix} from '../src/lab/plan.ts'
import type {Run} from '../src/lab/run.ts'
import {addressesOf, SUBNET_LENGTHS} from './cluster.ts'

export class Site {
  readonly name: string
  readonly #run: Run

  /** Use {@link makeSite}. */
  constructor(run: Run, name: string) {
    this.#run = run
    this.name = name
  }

  get path(): string {
    return `/run/netns/${this.name}`
  }

  ip(...args: string[]): Promise<string> {
    return this.#run.exec('ip', ['-n', this.name, ...args])
  }

  bridge(...args: string[]): Promise<string> {
    return this.#run.exec('bridge', ['-n', this.name, ...args])
  }

  /** Waits for nobody: a socket that is still open in it keeps what is in it alive. */
  async remove(): Promise<void> {
    await this.#run.exec('ip', ['netns', 'del', this.name])
  }
}

let made = 0

/** Always made in the same way: links have the same index in each. eth0's other end, sw0, plays the network. */
export async function makeSite(run: Run): Promise<Site> {
  const site = new Site(run, `${namespacePrefix(run.id)}${made++}`)
  await run.addNamespaces([site.name])
  const [v4, v6] = addressesOf(0)
  const commands = [
    'link set lo up',
    'link add eth0 type veth peer name sw0',
    'link set sw0 up',
    'link set eth0 up',
    `addr add ${v4}/${SUBNET_LENGTHS[0]} dev eth0`,
    `addr add ${v6}/${SUBNET_LENGTHS[1]} dev eth0 nodad`,
  ]
  await run.exec('ip', ['-n', site.name, '-batch', '-'], {input: `${commands.join('\n')}\n`})
  return site
}
