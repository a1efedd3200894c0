/** Part "storm": the annotations of many pods edited without pause: whether the last edits win, and what it costs the agent. */
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Row, Target} from '../results.ts'
import {percentile} from '../statistics.ts'
import {readTurns, watchTurns} from '../turns.ts'
import {memory, processorMs} from '../usage.ts'
import {ANNOTATION} from './networks.ts'
import {edit} from './objects.ts'
import {endPods, type Pod, startPods} from './pods.ts'
import type {Session} from './session.ts'
import {hasWhatIsAsked, States, wrongStates} from './states.ts'

const PART = 'storm'
/** Edits a second, of each pod. */
const PACE = 20
/** Networks that an edit chooses from. */
const NETWORKS = 4
/** Milliseconds. */
const SETTLING = 2000
const PATIENCE = 60_000
const NONE: Target = {atMost: 0}

/** The agent is started anew, with a clock on its event loop, and does not run at the end. */
export async function measureStorm(session: Session, count: number, seconds: number): Promise<void> {
  const {bench, node, sandboxes} = session
  const agent = node.agent!
  const file = join(bench.run.folder, 'turns')
  await agent.stop()
  await agent.start(watchTurns(file))
  await agent.ready()
  const {pods} = await startPods(session, sandboxes.slice(0, count), '')
  const states = await States.open(pods)
  try {
    await sleep(SETTLING)
    const before = {rss: (await memory(agent.pid)).rss, cpu: await processorMs(agent.pid)}
    const from = performance.timeOrigin + performance.now()
    const {asked, edits, ms} = await storm(session, pods, seconds)
    const to = performance.timeOrigin + performance.now()
    const settled = await untilRight(states, pods, asked)
    const cpu = (await processorMs(agent.pid)) - before.cpu
    await sleep(SETTLING)
    const [after, lost] = [await memory(agent.pid), await missing(states, pods, asked)]
    const wrong = await wrongStates(session, states, pods, asked)
    await edited(session, pods)
    await untilRight(states, pods, new Map())
    await sleep(SETTLING)
    await endPods(session, pods, {networks: '', links: 1})
    await sleep(SETTLING)
    const idle = await memory(agent.pid)
    await agent.stop()
    const late = (await readTurns(file)).filter(({at, late: ms}) => at >= from && at - ms <= to).map(turn => turn.late)

    const column = `${count} × ${PACE} edits/s, ${seconds} s`
    const add = (row: Row, value: number) => bench.results.add(PART, column, row, value)
    add({name: 'edits', unit: ''}, edits)
    add({name: 'edits a second', unit: ''}, edits / (ms / 1000))
    add({name: 'lost edits', unit: '', target: NONE}, lost.length)
    add({name: 'wrong final states', unit: '', target: NONE}, wrong.length)
    add({name: 'from the last edit until all pods are right', unit: 'ms'}, settled)
    add({name: "delay of the agent's loop, p50", unit: 'ms'}, percentile(late, 0.5))
    add({name: "delay of the agent's loop, p99", unit: 'ms'}, percentile(late, 0.99))
    add({name: "delay of the agent's loop, max", unit: 'ms'}, Math.max(...late))
    add({name: "the agent's processor time", unit: '% of one'}, (cpu / (ms + settled)) * 100)
    add({name: 'RSS before', unit: 'MB'}, before.rss)
    add({name: 'RSS at most', unit: 'MB'}, after.peak)
    add({name: 'RSS after', unit: 'MB'}, after.rss)
    add({name: 'RSS after its pods have gone', unit: 'MB'}, idle.rss)
    for (const each of [...lost, ...wrong].slice(0, 10)) process.stderr.write(`storm: ${each}\n`)
  } finally {
    states.close()
  }
}

/** By a pod's name: the annotation. */
type Asked = ReadonlyMap<string, string>

/** Of each pod one edit after the other; the next is sent when it is due and the last is answered. */
async function storm({api}: Session, pods: readonly Pod[], seconds: number) {
  const asked = new Map<string, string>()
  const began = performance.now()
  let edits = 0
  await Promise.all(
    pods.map(async ({name}, p) => {
      for (let i = 0; i < seconds * PACE; i++) {
        const due = began + ((i + p / pods.length) * 1000) / PACE
        await sleep(Math.max(0, due - performance.now()))
        // Late ones are left out: the pace is that of the clock.
        if (performance.now() > began + seconds * 1000) break
        const networks = anyOther(asked.get(name) ?? '')
        await edit(api, name, networks)
        asked.set(name, networks)
        edits++
      }
    }),
  )
  return {asked, edits, ms: performance.now() - began}
}

/** "n0@a0,n2@a2". */
function anyOther(than: string): string {
  for (;;) {
    const chosen = Array.from({length: NETWORKS}, (_, n) => n).filter(() => Math.random() < 0.5)
    const networks = chosen.map(n => `n${n}@a${n}`).join(',')
    if (networks !== than) return networks
  }
}

const edited = ({api}: Session, pods: readonly Pod[]) => Promise.all(pods.map(({name}) => edit(api, name, '')))

/** Milliseconds until each pod has what it asks for, or until nobody waits for it any more. */
async function untilRight(states: States, pods: readonly Pod[], asked: Asked): Promise<number> {
  const began = performance.now()
  let left = pods
  for (;;) {
    const still: Pod[] = []
    for (const pod of left)
      if (!hasWhatIsAsked(await states.interfaces(pod), asked.get(pod.name) ?? '')) still.push(pod)
    left = still
    const ms = performance.now() - began
    if (left.length === 0 || ms > PATIENCE) return ms
    await sleep(10)
  }
}

async function missing(states: States, pods: readonly Pod[], asked: Asked): Promise<string[]> {
  const lost: string[] = []
  for (const pod of pods) {
    const has = await states.interfaces(pod)
    const wanted = asked.get(pod.name) ?? ''
    if (!hasWhatIsAsked(has, wanted))
      lost.push(`${pod.name}: ${ANNOTATION} is "${wanted}", it has ${has.map(({name}) => name).join()}`)
  }
  return lost
}
