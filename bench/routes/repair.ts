/** Part "repair": somebody removes what is ours, and how long it is away. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {KernelChange} from '../../src/model/kernel.ts'
import type {IfIndex} from '../../src/model/net.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {deleteLink, dumpLinks} from '../../src/netlink/link.ts'
import {deleteFdb, deleteNeighbour, dumpFdb, dumpNeighbours, NUD} from '../../src/netlink/neighbour.ts'
import type {Request} from '../../src/netlink/request.ts'
import {deleteRoute, dumpRoutes} from '../../src/netlink/route.ts'
import {median, percentile} from '../statistics.ts'
import {columnOf} from './case.ts'
import type {Session} from './session.ts'
import {nameOf, type Seen, Sight} from './sight.ts'

const PART = 'repair'
const TIMES = {entry: 120, device: 20}
/** Milliseconds. */
const TARGET = 20
const PATIENCE = 10_000
const PROTOCOL = 107

interface Removal {
  readonly request: Request
  /** What must come back. */
  readonly names: ReadonlySet<string>
}

/** Of an agent that has nothing to do any more. */
export async function measureRepair({bench: {results, calm}, what, site}: Session): Promise<void> {
  const column = columnOf(what)
  const kernel = await Kernel.open({netns: site.path})
  const sight = await Sight.open(site.path)
  const add = (name: string, ms: readonly number[], target?: number) => {
    const aim = target === undefined ? {} : {target: {atMost: target}}
    results.add(PART, column, {name: `${name}: p50`, unit: 'ms'}, median(ms), ms)
    results.add(PART, column, {name: `${name}: p99`, unit: 'ms', ...aim}, percentile(ms, 0.99))
  }
  try {
    for (const [name, removals] of await entries(kernel)) {
      if (removals.length === 0) continue
      const pick = (i: number) => removals[(i * 37) % removals.length]!
      add(name, await calm.measure(() => repeat(TIMES.entry, async i => away(kernel, sight, pick(i)))), TARGET)
    }
    if (!(await tunnel(kernel))) return
    const devices = () => repeat(TIMES.device, async () => away(kernel, sight, (await tunnel(kernel))!))
    add('tunnel device, until the last entry is back', await calm.measure(devices))
  } finally {
    sight.close()
    kernel.close()
  }
}

async function repeat(times: number, work: (i: number) => Promise<number>): Promise<number[]> {
  const results: number[] = []
  for (let i = 0; i < times; i++) {
    // Not in step with anything.
    await sleep(5 + Math.random() * 10)
    results.push(await work(i))
  }
  return results
}

async function entries(kernel: Kernel): Promise<[string, Removal[]][]> {
  const one = (change: Pick<KernelChange, 'object' | 'item'>, request: Request): Removal => ({
    request,
    names: new Set([nameOf(change as KernelChange)!]),
  })
  const tunnels = await kernel.dump(dumpLinks({kind: 'vxlan'}))
  const on = ({index}: {readonly index: IfIndex}) => tunnels.some(tunnel => tunnel.index === index)
  const all = async <T>(read: (family: 4 | 6) => Promise<T[]>) => [...(await read(4)), ...(await read(6))]
  const routes = await all(family => kernel.dump(dumpRoutes({family, protocol: PROTOCOL, type: 'unicast'})))
  const neighbours = await all(family => kernel.dump(dumpNeighbours({family})))
  const fdb = await kernel.dump(dumpFdb())
  return [
    ['route', routes.map(item => one({object: 'route', item}, deleteRoute(item)))],
    [
      'neighbour',
      neighbours
        .filter(item => on(item) && item.state === NUD.PERMANENT)
        .map(item => one({object: 'neighbour', item}, deleteNeighbour(item))),
    ],
    [
      'forwarding entry',
      fdb.filter(item => on(item) && item.remote).map(item => one({object: 'fdb', item}, deleteFdb(item))),
    ],
  ]
}

/** The one over IPv4, with all that goes with it. */
async function tunnel(kernel: Kernel): Promise<Removal | undefined> {
  const [device] = await kernel.dump(dumpLinks({kind: 'vxlan'}))
  if (!device) return undefined
  const items = [
    ...(await kernel.dump(dumpRoutes({family: 4, protocol: PROTOCOL, dev: device.index}))).map(item => ({
      object: 'route',
      item,
    })),
    ...(await kernel.dump(dumpNeighbours({family: 4, index: device.index}))).map(item => ({object: 'neighbour', item})),
    ...(await kernel.dump(dumpFdb({index: device.index}))).map(item => ({object: 'fdb', item})),
  ] as KernelChange[]
  const names = items.map(nameOf).filter(name => name !== undefined)
  return {request: deleteLink(device.index), names: new Set(names)}
}

/** Milliseconds from the moment that the kernel tells of the removal of the device, or else that it is asked for it. */
async function away(kernel: Kernel, sight: Sight, {request, names}: Removal): Promise<number> {
  const missing = new Set(names)
  let goneAt = performance.now()
  let backAt = 0
  const back = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not back: ${[...missing].slice(0, 5).join(', ')}`)), PATIENCE)
    sight.onChange = ({change, at}: Seen) => {
      if (change.object === 'link' && change.gone) goneAt = at
      if (change.gone || !missing.delete(nameOf(change) ?? '') || missing.size > 0) return
      backAt = at
      clearTimeout(late)
      resolve()
    }
  })
  await kernel.do(request)
  await back
  return backAt - goneAt
}
