/** Our code from facts in memory to a kernel that has everything: what an agent does once it has its first list. */
import {setTimeout as sleep} from 'node:timers/promises'
import {filter, firstValueFrom, of, Subject} from 'rxjs'
import {routes, type Sources, wakes} from '../../src/agent/passes.ts'
import {parseConfig} from '../../src/model/config.ts'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {kernelWriter} from '../../src/netlink/kernel-writer.ts'
import {kernelSource} from '../../src/netlink/source.ts'
import {createMirror} from '../../src/streams/mirror.ts'
import type {View} from '../../src/streams/view.ts'
import type {Backend} from '../cluster.ts'
import {SELF} from '../cluster.ts'
import {LoopProbe} from '../loop-probe.ts'
import {noteBatches} from './messages.ts'

export interface PassMeasure {
  /** Milliseconds from the facts to the kernel's last acknowledgement. */
  readonly acknowledgedMs: number
  /** Milliseconds until the pass is over: what was written has come back and is in the mirror. */
  readonly settledMs: number
  /** Milliseconds by which each turn of a timer was late. */
  readonly late: readonly number[]
}

/** In a namespace that nothing has been written to yet. With what was sent to the kernel, as bytes. */
export async function measurePass(
  netns: string,
  nodes: ReadonlyMap<NodeName, NodeFacts>,
  backend: Backend,
): Promise<{measure: PassMeasure; messages: Buffer}> {
  const kernel = await Kernel.open({netns})
  const mirror = createMirror(kernelSource(kernel, {netns}), {resyncMs: 0})
  const nodes$ = new Subject<View<NodeName, NodeFacts>>()
  const hostPods$: Sources['hostPods$'] = of({synced: true, items: new Map(), at: 0})
  const [network] = parseConfig({networks: [{backend}]}).networks
  const identity = {self: SELF as NodeName, machineId: ''}
  const ports = {writer: kernelWriter(kernel, mirror.settle), passing: () => () => {}}
  const subscription = mirror.view$.subscribe()
  try {
    const end = firstValueFrom(routes(wakes({nodes$, kernel$: mirror.view$, hostPods$}), network!, identity, ports))
    await firstValueFrom(mirror.view$.pipe(filter(view => view.synced)))
    const sent = noteBatches(kernel)
    const probe = new LoopProbe()
    await sleep(20)
    const startedAt = performance.now()
    nodes$.next({synced: true, items: nodes, at: startedAt})
    const {refused, error, endedAt} = await end
    // The turn that was late, if the last piece of work held it up.
    await sleep(5)
    const turns = probe.stop().filter(({at}) => at >= startedAt)
    if (error) throw error
    if (refused.length > 0) throw new Error(`the kernel refuses: ${refused[0]!.refusal.message}`)
    const {acknowledgedAt, messages} = sent()
    const [acknowledgedMs, settledMs] = [acknowledgedAt - startedAt, endedAt - startedAt]
    return {measure: {acknowledgedMs, settledMs, late: turns.map(({late}) => late)}, messages}
  } finally {
    subscription.unsubscribe()
    kernel.close()
  }
}
