/**
 * kill -9 of the shim: whatever the agent is just doing for it, and at each of its own system calls. An ADD of which the
 * runtime has not been told is undone; a DEL is done, kept, or asked for again. Needs root.
 */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import {buildShim, folder, run} from '../../shim/support.ts'
import {NETWORKS} from './networks.ts'
import type {Pod} from './node.ts'
import {type Ended, ServedNode} from './served-node.ts'

const home = await folder()
/** As it is delivered. */
const shim = join(home, 'shim')
/** Whose system calls can be counted. */
const dynamic = join(home, 'dynamic')
const interpose = join(home, 'interpose.so')
test.before(async () => {
  const source = join(import.meta.dirname, '..', '..', 'shim', 'interpose.c')
  const compiled = await run('cc', {
    args: ['-O1', '-shared', '-fPIC', '-o', interpose, source],
    env: {PATH: process.env.PATH ?? ''},
  })
  if (compiled.status !== 0) throw new Error(compiled.stderr)
  await buildShim(shim)
  await buildShim(dynamic, {dynamic: true, waits: {DEL_WAIT_MS: 20, RETRY_MS: 5}})
})
test.after.always(() => rm(home, {recursive: true, force: true, maxRetries: 5}))

for (const network of [NETWORKS[0]!, NETWORKS[1]!])
  test(`ADD, killed at whatever the agent does for it: ${network.title}`, async t => {
    const bed = await ServedNode.open(t, shim, network)
    let at = 1
    for (; ; at++) {
      const pod = bed.sandbox()
      bed.points.begin({at, what: 'kill'})
      const before = bed.heard
      const {killed} = await bed.end(bed.start('ADD', pod))
      // Work behind the answer may be what strikes it: then it has been heard, and stands.
      const heard = bed.heard > before
      t.is(bed.stands(pod), heard, `point ${at}`)
      if (!heard) await bed.nothingLeft(`ADD, point ${at}`)
      if (heard || at % 2 === 0) {
        bed.points.begin(undefined)
        await bed.call('DEL', pod)
        await bed.nothingLeft(`ADD, point ${at}, then DEL`)
      }
      if (!killed) break
    }
    t.true(at > 20)
  })

test('DEL, killed at whatever the agent does for it: it is done all the same', async t => {
  const bed = await ServedNode.open(t, shim)
  let at = 1
  for (; ; at++) {
    const pod = bed.sandbox()
    bed.points.begin(undefined)
    await bed.call('ADD', pod)
    bed.points.begin({at, what: 'kill'})
    const {killed} = await bed.end(bed.start('DEL', pod))
    await bed.nothingLeft(`DEL, point ${at}`)
    bed.points.begin(undefined)
    await bed.call('DEL', pod)
    if (!killed) break
  }
  t.true(at > 10)
})

/** A shim that is killed before the first of its system calls, the second… until one gets by: how many it has. */
async function atEachStep(
  bed: ServedNode,
  verb: 'ADD' | 'DEL',
  judge: (pod: Pod, ended: Ended, where: string) => Promise<void>,
  prepare: () => Promise<void> = async () => {},
): Promise<number> {
  for (let step = 1; ; step++) {
    const pod = bed.sandbox()
    if (verb === 'DEL') await bed.call('ADD', pod)
    await prepare()
    bed.heard = 0
    const ended = await bed.end(bed.start(verb, pod, dynamic, {LD_PRELOAD: interpose, STEP: `${step}`, DEED: 'kill'}))
    await judge(pod, ended, `${verb}, step ${step}`)
    if (!ended.killed) return step - 1
  }
}

test('ADD, killed at each of its system calls: what it has not told is undone', async t => {
  const bed = await ServedNode.open(t, shim)
  let [stood, undone] = [0, 0]
  const steps = await atEachStep(bed, 'ADD', async (pod, {killed}, where) => {
    t.is(bed.stands(pod), bed.heard === 1, where)
    if (bed.heard === 1) stood++
    else undone++
    if (!killed) t.is(bed.heard, 1)
    if (bed.heard === 0) await bed.nothingLeft(where)
    await bed.call('DEL', pod)
    await bed.nothingLeft(`${where}, then DEL`)
  })
  t.log(`${steps} steps; ${undone} undone, ${stood} told`)
  t.true(steps > 8 && undone > 8 && stood > 0)
})

test('DEL, killed at each of its system calls: the next one finds what is left to do', async t => {
  const bed = await ServedNode.open(t, shim)
  let done = 0
  const steps = await atEachStep(bed, 'DEL', async (pod, _, where) => {
    if (!bed.stands(pod)) {
      done++
      await bed.nothingLeft(where)
    }
    await bed.call('DEL', pod)
    await bed.nothingLeft(`${where}, then DEL`)
  })
  t.log(`${steps} steps; ${done} had been carried out`)
  t.true(steps > 8 && done > 0)
})

test('DEL without agent, killed at each of its system calls: kept, or asked for again', async t => {
  const bed = await ServedNode.open(t, shim)
  let [kept, lost] = [0, 0]
  const judge = async (pod: Pod, {killed}: Ended, where: string) => {
    const whole = bed.spooled().filter(name => !name.startsWith('.'))
    t.true(bed.stands(pod))
    if (!killed) t.is(whole.length, 1)
    if (whole.length > 0) kept++
    else lost++
    await bed.drain()
    t.is(bed.stands(pod), whole.length === 0, where)
    bed.serve()
    await bed.call('DEL', pod)
    await bed.age()
    await bed.drain()
    t.deepEqual(bed.spooled(), [])
    await bed.nothingLeft(where)
  }
  const steps = await atEachStep(bed, 'DEL', judge, async () => {
    bed.away()
    await rm(bed.socket)
  })
  t.log(`${steps} steps; ${kept} kept, ${lost} not`)
  t.true(steps > 8 && kept > 0 && lost > 8)
})

test('ADD and DEL, killed at any time', async t => {
  const bed = await ServedNode.open(t, shim)
  const times = fc.sample(fc.double({min: 0, max: 12, noNaN: true}), {numRuns: 40, seed: 11})
  const ends = {undone: 0, told: 0}
  for (const ms of times) {
    const pod = bed.sandbox()
    const before = bed.heard
    const child = bed.start('ADD', pod)
    const timer = setTimeout(() => child.kill('SIGKILL'), ms)
    const {killed} = await bed.end(child)
    clearTimeout(timer)
    const heard = bed.heard > before
    ends[heard ? 'told' : 'undone']++
    t.true(heard || killed)
    t.is(bed.stands(pod), heard)
    if (!heard) await bed.nothingLeft(`ADD, killed after ${ms} ms`)
    const del = bed.start('DEL', pod)
    const second = setTimeout(() => del.kill('SIGKILL'), ms)
    await bed.end(del)
    clearTimeout(second)
    await bed.call('DEL', pod)
    await bed.nothingLeft(`DEL, killed after ${ms} ms`)
  }
  t.log(ends)
})
