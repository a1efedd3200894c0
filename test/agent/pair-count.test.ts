/** Ends of pairs as the metric counts them: by state, kind and what they wait for. */
import test from 'ava'
import {pairCounter} from '../../src/agent/pair-count.ts'
import type {PairState} from '../../src/model/pair.ts'
import {createMetrics} from '../../src/observe/metrics.ts'

type Pods = Record<string, readonly Pick<PairState, 'state' | 'kind' | 'waitsFor'>[]>

function setUp(pods: Pods) {
  const metrics = createMetrics({version: '1'})
  const known = {ready: true, alive: true}
  const looked: string[] = []
  const counter = pairCounter({
    statesOf: pod => {
      looked.push(pod)
      return pods[pod] ?? []
    },
    isReady: () => known.ready,
    isAliveKnown: () => known.alive,
    metrics,
  })
  /** "waiting peer 1", without those of which there are none. */
  const counts = async (...pods: string[]) => {
    for (const pod of pods) counter.look(pod)
    counter.count()
    const {body} = await metrics.expose()
    return [...body.matchAll(/^netgraft_pair_ends\{state="(\w+)",kind="(\w*)",waits_for="(\w*)"\} (\d+)$/gm)]
      .filter(([, , , , count]) => count !== '0')
      .map(([, ...words]) => words.filter(Boolean).join(' '))
  }
  return {known, looked, counts, metrics}
}

const WAITING = {state: 'waiting'} as const

test('each end counts once, and no longer when its pod has gone; a pod that is as it was is not looked at', async t => {
  const pods: Pods = {
    x: [{state: 'up', kind: 'veth'}, {state: 'up', kind: 'vxlan'}, {...WAITING, waitsFor: 'peer'}, {state: 'failed'}],
    y: [{state: 'up', kind: 'veth'}, {...WAITING, waitsFor: 'vni'}, {state: 'contradiction'}],
    z: [
      {...WAITING, waitsFor: 'ratchet'},
      {state: 'building', kind: 'vxlan'},
      {state: 'failed', kind: 'veth'},
    ],
  }
  const {counts, looked, metrics} = setUp(pods)
  t.deepEqual(await counts('x', 'y', 'z', 'x'), [
    'waiting peer 1',
    'waiting vni 1',
    'waiting ratchet 1',
    'building vxlan 1',
    'up veth 2',
    'up vxlan 1',
    'failed veth 1',
    'failed 1',
    'contradiction 1',
  ])
  t.is(looked.splice(0).join(), 'x,y,z')
  pods.y = [{state: 'up', kind: 'veth'}]
  delete pods.z
  t.deepEqual(await counts('y', 'z'), ['waiting peer 1', 'up veth 2', 'up vxlan 1', 'failed 1'])
  t.is(looked.splice(0).join(), 'y,z')
  await counts()
  t.deepEqual(looked, [])
  const {body} = await metrics.expose()
  t.is([...body.matchAll(/^netgraft_pair_ends\{/gm)].length, 14)
})

test('until the store has been read everything that is not decided waits for it', async t => {
  const {counts, known} = setUp({
    x: [
      {...WAITING, waitsFor: 'peer'},
      {...WAITING, waitsFor: 'node'},
      {state: 'building', kind: 'veth'},
    ],
    y: [{state: 'contradiction'}, {state: 'failed'}],
  })
  Object.assign(known, {ready: false, alive: false})
  t.deepEqual(await counts('x', 'y'), ['waiting store 3', 'failed 1', 'contradiction 1'])
  known.ready = true
  // Whether the other node is alive is not known yet.
  t.deepEqual(await counts(), ['waiting peer 1', 'waiting store 1', 'building veth 1', 'failed 1', 'contradiction 1'])
  known.alive = true
  t.deepEqual(await counts(), ['waiting peer 1', 'waiting node 1', 'building veth 1', 'failed 1', 'contradiction 1'])
})
