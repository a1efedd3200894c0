/**
 * A mirror of a namespace in a process that is always busy, but for one turn of the event loop every 50 ms. When its
 * stdin ends it waits until the mirror has settled, and prints how it went.
 */
import {setImmediate as tick} from 'node:timers/promises'
import type {KernelView} from '../../../src/model/kernel.ts'
import {Kernel} from '../../../src/netlink/kernel.ts'
import {kernelSource} from '../../../src/netlink/source.ts'
import {createMirror} from '../../../src/streams/mirror.ts'
import {foldOf, stateText} from '../live-mirror.ts'

const [netns, receiveBuffer] = [process.argv[2]!, Number(process.argv[3])]
const kernel = await Kernel.open({netns})
const source = kernelSource(kernel, {netns, receiveBuffer})
let lost = 0
const mirror = createMirror(source, {resyncMs: 0, onResync: reason => (lost += reason === 'lost' ? 1 : 0)})
let view: KernelView | undefined
const subscription = mirror.view$.subscribe(next => {
  view = next
})
while (!view?.synced) await tick()

let ended = false
process.stdin.resume().on('end', () => {
  ended = true
})
process.stdout.write('ready\n')
const before = process.memoryUsage().rss
let most = before
while (!ended) {
  const until = performance.now() + 50
  while (performance.now() < until);
  most = Math.max(most, process.memoryUsage().rss)
  await tick()
}
await mirror.settle()
const agrees = stateText(foldOf(await source.snapshot())) === stateText(view.state)
console.log(JSON.stringify({agrees, lost: lost > 0, routes: view.state.routes.size, grown: (most - before) / 2 ** 20}))
subscription.unsubscribe()
kernel.close()
