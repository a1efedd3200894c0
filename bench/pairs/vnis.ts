/** Part "vnis": VNIs that ten nodes take and give back all the time, in each of the stores. */
import {join} from 'node:path'
import {Api} from '../api.ts'
import type {Bench} from '../bench.ts'
import {tell} from '../benchmark.ts'
import type {Row} from '../results.ts'
import {makeSite} from '../site.ts'
import {percentile} from '../statistics.ts'
import {startEtcd} from './etcd.ts'
import type {StoreName} from './options.ts'
import type {VniFigures} from './vnis-process.ts'

const PART = 'VNIs, 10 nodes'
const NONE = {atMost: 0}

export async function measureVnis({run, results}: Bench, stores: readonly StoreName[], cycles: number): Promise<void> {
  const site = await makeSite(run)
  await site.ip('link', 'set', 'lo', 'up')
  for (const store of stores) {
    tell(`vnis, ${store}`)
    const api = store === 'kubernetes' ? await Api.start(run, site, {nodes: 0, backend: 'direct'}) : undefined
    const where = api?.kubeconfig ?? (await startEtcd(run, site.name, '127.0.0.1'))
    const script = join(import.meta.dirname, 'vnis-process.ts')
    const output = await run.exec(process.execPath, [script, store, where, `${cycles}`], {netns: site.name})
    await api?.stop()
    const {ms, collisions, lost, leaks, taking, givingBack} = JSON.parse(output) as VniFigures
    const column = `${cycles.toLocaleString('en-US')} cycles, ${store}`
    const add = (row: Row, value: number) => results.add(PART, column, row, value)
    add({name: 'two pairs with one VNI', unit: '', target: NONE}, collisions)
    add({name: 'left behind', unit: '', target: NONE}, leaks)
    add({name: 'cycles a second', unit: ''}, cycles / (ms / 1000))
    add({name: 'somebody else was quicker', unit: ''}, lost)
    add({name: 'a pair without VNI → taken, p50', unit: 'ms'}, percentile(taking, 0.5))
    add({name: 'a pair without VNI → taken, p99', unit: 'ms'}, percentile(taking, 0.99))
    add({name: 'a VNI without pair → given back, p50', unit: 'ms'}, percentile(givingBack, 0.5))
    add({name: 'a VNI without pair → given back, p99', unit: 'ms'}, percentile(givingBack, 0.99))
  }
}
