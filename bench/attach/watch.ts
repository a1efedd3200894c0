/** When interfaces come up in pods' namespaces and go, as a C program (`watch.c`) hears of it from the kernel. */
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import type {Run} from '../../src/lab/run.ts'
import {compileFile} from '../cni/runtime.ts'

/** `performance.now()`, on which the kernel's CLOCK_MONOTONIC is zero. */
const ORIGIN = performance.now() - Number(process.hrtime.bigint()) / 1e6
/** Milliseconds. */
const PATIENCE = 30_000
/** linux/if.h: IFF_UP, IFF_LOWER_UP. */
const CONNECTED = 0x1_0001

/** On the clock of `performance.now()`. */
export interface Seen {
  /** The first message about it. */
  readonly first: number
  /** It is up, with carrier, and has an IPv4 address; or it has gone. */
  readonly done: number
}

interface Link {
  readonly first: number
  name: string | undefined
  connected: boolean
  addressed: boolean
}

interface Awaited {
  readonly sandbox: number
  readonly ifname: string
  readonly want: 'there' | 'gone'
  /** What happened before is somebody else's. */
  readonly since: number
  readonly seen: (seen: Seen) => void
}

export class Watch {
  readonly #child: ChildProcess
  readonly #sandboxes: readonly string[]
  /** By sandbox and index. */
  readonly #links = new Map<string, Link>()
  readonly #awaited = new Set<Awaited>()

  /** Of what happens from now on. */
  static async start(run: Run, sandboxes: readonly string[]): Promise<Watch> {
    const program = await compileFile(run, join(import.meta.dirname, 'watch.c'))
    const child = await run.spawn(program, sandboxes, {stdio: ['ignore', 'pipe', 'inherit']})
    const ready = once(child.stdout!.setEncoding('utf8'), 'data')
    await Promise.race([
      ready,
      once(child, 'exit').then(() => {
        throw new Error('the watch of the pods did not start')
      }),
    ])
    return new Watch(child, sandboxes)
  }

  private constructor(child: ChildProcess, sandboxes: readonly string[]) {
    this.#child = child
    this.#sandboxes = sandboxes
    let rest = ''
    child.stdout!.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#hear(line)
    })
  }

  /** Resolves once it is so; asked for before it is begun. Rejects if it never is. */
  expect(sandbox: string, ifname: string, want: 'there' | 'gone'): Promise<Seen> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#awaited.delete(awaited)
        reject(new Error(`${ifname} of ${sandbox} is never ${want}`))
      }, PATIENCE)
      const seen = (times: Seen) => {
        clearTimeout(timer)
        this.#awaited.delete(awaited)
        resolve(times)
      }
      const awaited: Awaited = {sandbox: this.#sandboxes.indexOf(sandbox), ifname, want, since: performance.now(), seen}
      this.#awaited.add(awaited)
    })
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    if (this.#child.kill('SIGKILL')) await ended
  }

  #hear(line: string): void {
    const [ns, n, what, index, third, name] = line.split(' ')
    const at = Number(ns) / 1e6 + ORIGIN
    const key = `${n} ${index}`
    if (what === 'gone') {
      this.#links.delete(key)
      this.#tell(Number(n), third!, 'gone', {first: at, done: at})
      return
    }
    const link: Link = this.#links.get(key) ?? {first: at, name: undefined, connected: false, addressed: false}
    this.#links.set(key, link)
    if (what === 'link') {
      link.name = name
      link.connected = (Number.parseInt(third!, 16) & CONNECTED) === CONNECTED
    } else link.addressed = true
    if (link.name !== undefined && link.connected && link.addressed)
      this.#tell(Number(n), link.name, 'there', {first: link.first, done: at})
  }

  #tell(sandbox: number, ifname: string, want: Awaited['want'], seen: Seen): void {
    for (const each of this.#awaited)
      if (each.sandbox === sandbox && each.ifname === ifname && each.want === want && each.since <= seen.done)
        each.seen(seen)
  }
}
