/** A mirror of a real namespace, and what the kernel itself says, both as text. Needs root. */
import {spawn} from 'node:child_process'
import {setTimeout as sleep} from 'node:timers/promises'
import type {ExecutionContext} from 'ava'
import type {KernelSnapshot, KernelState, KernelView} from '../../src/model/kernel.ts'
import type {Kernel} from '../../src/netlink/kernel.ts'
import type {MonitorOptions} from '../../src/netlink/monitor.ts'
import {formatRoute} from '../../src/netlink/route.ts'
import {kernelSource} from '../../src/netlink/source.ts'
import {MutableKernelState} from '../../src/streams/kernel-state.ts'
import {createMirror, type Mirror, type ResyncReason} from '../../src/streams/mirror.ts'
import type {Namespace} from './namespace.ts'

export interface LiveMirror {
  readonly kernel: Kernel
  readonly mirror: Mirror
  readonly resyncs: readonly ResyncReason[]
  readonly errors: readonly unknown[]
  /** How often the view was emitted. */
  readonly views: () => number
  readonly state: () => KernelState
  /** Waits until the mirror says what a dump says. Rejects with the difference when it never does. */
  agrees(): Promise<void>
}

/** Synced, without a timer, and ended with the test. */
export async function liveMirror(
  t: Pick<ExecutionContext<unknown>, 'teardown'>,
  at: Namespace,
  options: Pick<MonitorOptions, 'receiveBuffer'> = {},
): Promise<LiveMirror> {
  const kernel = await at.kernel()
  const source = kernelSource(kernel, {netns: at.path, ...options})
  const resyncs: ResyncReason[] = []
  const errors: unknown[] = []
  const mirror = createMirror(source, {
    resyncMs: 0,
    onResync: reason => resyncs.push(reason),
    onError: error => errors.push(error),
  })
  let view: KernelView | undefined
  let views = 0
  const subscription = mirror.view$.subscribe(next => {
    view = next
    views++
  })
  t.teardown(() => subscription.unsubscribe())
  const state = () => {
    if (!view?.synced) throw new Error('the mirror has not synced')
    return view.state
  }
  const agrees = async () => {
    for (let tries = 0; ; tries++) {
      await mirror.settle()
      const want = stateText(foldOf(await source.snapshot()))
      await mirror.settle()
      const have = stateText(state())
      if (have === want) return
      // The kernel tells of a lost carrier up to a second later.
      if (tries === 200) throw new Error(difference(have, want))
      await sleep(20)
    }
  }
  while (!view?.synced) await sleep(1)
  return {kernel, mirror, resyncs, errors, views: () => views, state, agrees}
}

export const foldOf = (snapshot: KernelSnapshot): KernelState => new MutableKernelState(snapshot)

/** One line per link, address, route and tunnel's entry, sorted. */
export function stateText({links, addresses, routes, neighbours, fdb}: KernelState): string {
  const lines: string[] = []
  for (const link of links.values()) lines.push(`link ${plain(link)}`)
  for (const address of [...addresses.values()].flat()) lines.push(`addr ${plain(address)}`)
  for (const route of [...routes.values()].flat())
    lines.push(`route ${formatRoute(route)} scope ${route.scope}${route.dead ? ' dead' : ''}`)
  for (const {index, kind} of links.values()) {
    if (kind !== 'vxlan') continue
    for (const entry of neighbours.get(index)?.values() ?? []) lines.push(`neigh ${plain(entry)}`)
    for (const entry of [...(fdb.get(index)?.values() ?? [])].flat()) lines.push(`fdb ${plain(entry)}`)
  }
  return lines.sort().join('\n')
}

function plain(object: object): string {
  return Object.entries(object)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${typeof value === 'object' && value.bytes === undefined ? plain(value) : value}`)
    .join(' ')
}

function difference(have: string, want: string): string {
  const [mirrored, dumped] = [new Set(have.split('\n')), new Set(want.split('\n'))]
  const only = (some: Set<string>, others: Set<string>) =>
    [...some]
      .filter(line => !others.has(line))
      .slice(0, 20)
      .join('\n  ')
  return `only in the mirror:\n  ${only(mirrored, dumped)}\nonly in the kernel:\n  ${only(dumped, mirrored)}`
}

/** `ip -force -batch`: what cannot be done is left out. Resolves when it has ended. */
export function ipBatch(at: Pick<Namespace, 'name'>, commands: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('ip', ['-n', at.name, '-force', '-batch', '-'], {stdio: ['pipe', 'ignore', 'ignore']})
    child.on('error', reject)
    child.on('close', () => resolve())
    child.stdin.end(`${commands.join('\n')}\n`)
  })
}
