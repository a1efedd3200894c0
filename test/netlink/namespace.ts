/**
 * Network namespaces for tests, removed when the test ends, however it ends. Needs root.
 *
 *   const [a, b] = await namespaces(t, 2)
 *   a.ip('link', 'add', 'name', 'br0', 'type', 'bridge')
 *   const kernel = await a.kernel()            // closed with the test
 *   a.json('route', 'show', 'table', 'all')    // what `ip -j` prints
 *
 * Names are `ng-<random>-<n>`, so parallel tests and runs never meet. Removal waits for no one: a namespace that a
 * socket still keeps alive goes with that socket.
 */
import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {type FileHandle, open} from 'node:fs/promises'
import type {ExecutionContext} from 'ava'
import type {IfIndex} from '../../src/model/net.ts'
import {Kernel} from '../../src/netlink/kernel.ts'

type Test = Pick<ExecutionContext<unknown>, 'teardown'>

/** Where `ip netns` mounts namespaces. */
const FOLDER = '/run/netns'

export class Namespace {
  readonly name: string
  readonly #test: Test

  /** Use {@link namespaces}. */
  constructor(test: Test, name: string) {
    this.#test = test
    this.name = name
  }

  /** For `KernelOptions.netns`, `setns`, CNI_NETNS. */
  get path(): string {
    return `${FOLDER}/${this.name}`
  }

  /** `ip -n <name> …args`: its output. Throws with ip's own words. */
  ip(...args: string[]): string {
    return run('ip', '-n', this.name, ...args)
  }

  /** `ip -n <name> -j -d …args`, parsed. A query that finds nothing is an empty list. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever ip prints
  json(...args: string[]): any[] {
    return parse(this.ip('-j', '-d', ...args))
  }

  /** `bridge -n <name> …args`. */
  bridge(...args: string[]): string {
    return run('bridge', '-n', this.name, ...args)
  }

  /** `bridge -n <name> -j …args`, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever bridge prints
  bridgeJson(...args: string[]): any[] {
    return parse(this.bridge('-j', ...args))
  }

  /** Runs a program inside: its output. */
  exec(program: string, ...args: string[]): string {
    return run('ip', 'netns', 'exec', this.name, program, ...args)
  }

  /** The index of a link by its name. */
  index(link: string): IfIndex {
    return this.json('link', 'show', 'dev', link)[0].ifindex
  }

  /** A kernel port inside, closed with the test. */
  async kernel(): Promise<Kernel> {
    const kernel = await Kernel.open({netns: this.path})
    this.#test.teardown(() => kernel.close())
    return kernel
  }

  /** An open descriptor of the namespace (for `LinkSpec.netns`), closed with the test. */
  async fd(): Promise<number> {
    const file: FileHandle = await open(this.path, 'r')
    this.#test.teardown(() => file.close())
    return file.fd
  }

  /** Removes it before the test ends. Removing the absent succeeds. */
  remove(): void {
    try {
      run('ip', 'netns', 'del', this.name)
    } catch (error) {
      if (!String(error).includes('No such file')) throw error
    }
  }
}

/** Makes `count` namespaces, with lo up, and registers their removal. */
export async function namespaces(t: Test, count: 1): Promise<[Namespace]>
export async function namespaces(t: Test, count: 2): Promise<[Namespace, Namespace]>
export async function namespaces(t: Test, count: 3): Promise<[Namespace, Namespace, Namespace]>
export async function namespaces(t: Test, count: number): Promise<Namespace[]>
export async function namespaces(t: Test, count: number): Promise<Namespace[]> {
  const id = randomBytes(4).toString('hex')
  const made: Namespace[] = []
  for (let n = 1; n <= count; n++) {
    const namespace = new Namespace(t, `ng-${id}-${n}`)
    // Registered first: `ip netns add` can fail half way.
    t.teardown(() => namespace.remove())
    run('ip', 'netns', 'add', namespace.name)
    namespace.ip('link', 'set', 'dev', 'lo', 'up')
    made.push(namespace)
  }
  return made
}

function run(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 256 << 20})
  } catch (error) {
    const {stderr} = error as {stderr?: string}
    throw new Error(`${program} ${args.join(' ')}: ${stderr?.trim() || error}`, {cause: error})
  }
}

/** iproute2 prints nothing for nothing, and empty objects for what its own filters have left out. */
function parse(text: string): object[] {
  if (text.trim() === '') return []
  return (JSON.parse(text) as object[]).filter(each => Object.keys(each).length > 0)
}
