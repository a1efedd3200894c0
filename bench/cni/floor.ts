/** Part "floor": what nobody can be faster than: the kernel with ready messages, and a process that does nothing. */
import {once} from 'node:events'
import {join} from 'node:path'
import {makeSite} from '../site.ts'
import {percentile} from '../statistics.ts'
import {compile, compileSmall} from './runtime.ts'
import type {Session} from './session.ts'

const MOST = 60
/** Milliseconds. Of the shim's own, with everything that starting a process costs. */
const SHIM_TARGET = 1

export async function measureFloor(session: Session): Promise<void> {
  await measureKernel(session)
  await measureShim(session)
}

/** The first of each round's is left out: it comes before the caches are warm. */
async function measureKernel({bench, sandboxes}: Session): Promise<void> {
  const {run, results, calm, repetitions} = bench
  const floor = await compile(run, 'floor')
  const site = await makeSite(run)
  await site.ip('link', 'add', 'cni0', 'up', 'type', 'bridge')
  const cni0 = JSON.parse(await site.ip('-j', 'link', 'show', 'cni0')) as [{ifindex: number}]
  const used = sandboxes.slice(0, MOST)
  for (const [column, bridge] of [
    ['bridge', cni0[0].ifindex],
    ['ptp', 0],
  ] as const) {
    const [wired, deleted]: [number[], number[]] = [[], []]
    for (let round = 0; round < repetitions; round++) {
      const output = await calm.measure(() => run.exec(floor, [`${bridge}`, ...used], {netns: site.name}))
      for (const line of output
        .trimEnd()
        .split('\n')
        .slice(used.length > 1 ? 1 : 0)) {
        const [first, second] = line.split(' ').map(Number)
        wired.push(first! / 1e6)
        deleted.push(second! / 1e6)
      }
    }
    const add = (name: string, samples: number[], share: number) =>
      results.add('kernel alone', column, {name, unit: 'ms'}, percentile(samples, share), samples)
    add('wired, p50', wired, 0.5)
    add('wired, p95', wired, 0.95)
    add('deleted, p50', deleted, 0.5)
  }
  await site.remove()
}

/** Against a program that gives everything back, and beside one that ends at once. */
async function measureShim({bench, runtime, sides}: Session): Promise<void> {
  const {run, results, calm} = bench
  const {site, program, config} = sides[0]!
  const socket = join(run.folder, 'echo.sock')
  const echo = await run.spawn(await compile(run, 'echo'), [socket], {stdio: ['ignore', 'pipe', 'inherit']})
  await once(echo.stdout!, 'data')
  const env = {CNI_COMMAND: 'CHECK', CNI_CONTAINERID: 'c', CNI_NETNS: '/n', CNI_IFNAME: 'eth0', CNI_PATH: '/p'}
  const shim = {program, input: {...config, socket}, env}
  const nothing = {program: await compileSmall(run, 'nothing'), input: {}, env}
  const jobs = Array.from({length: 6 * MOST}, (_, i) => (i % 2 === 0 ? shim : nothing))
  const calls = await calm.measure(() => runtime(site, jobs, 1))
  echo.kill('SIGKILL')
  for (const [column, remainder] of [
    ['shim', 0],
    ['empty program', 1],
  ] as const) {
    const samples = calls.filter((_, i) => i % 2 === remainder).map(({ms}) => ms)
    const target = remainder === 0 ? {target: {atMost: SHIM_TARGET}} : {}
    results.add('process alone', column, {name: 'p50', unit: 'ms', ...target}, percentile(samples, 0.5), samples)
    results.add('process alone', column, {name: 'p95', unit: 'ms'}, percentile(samples, 0.95))
  }
}
