/** Part "traffic": what goes over links that the agents have made, against links of the same kind made by hand. */
import {basename} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {Watch} from '../attach/watch.ts'
import type {Row} from '../results.ts'
import {median} from '../statistics.ts'
import {addPods, createPod, endPods, type Pod} from './pods.ts'
import type {Session} from './session.ts'
import {wishesOf} from './wishes.ts'

const KINDS = ['veth', 'vxlan'] as const
type Kind = (typeof KINDS)[number]
const SIDES = ['agent', 'by hand'] as const
type Side = (typeof SIDES)[number]
/** Of ours by those that are made by hand. */
const TARGETS = {TCP: {atLeast: 0.98}, echo: {atMost: 1.02}}
/** More rounds than elsewhere: two links of one make differ by a few percent from one second to the next. */
const ROUNDS = 3
/** Echoes in each second of a measurement's, one after the other: as many as take some tenths of a second. */
const ECHOES = 10_000
const HAND = 'hand'
/** UDP, of the agents' tunnels, too. */
const PORT = '8473'
/** What no agent takes for so few pairs. */
const VNI = '16000000'

interface Figures {
  readonly megabits: number
  /** Microseconds, there and back, and to the next one. */
  readonly echo: number
}

export async function measureTraffic(session: Session, seconds: number): Promise<void> {
  const {bench} = session
  for (const kind of KINDS) {
    await withLinks(session, kind, async (pods, addresses) => {
      const server = await bench.run.spawn('iperf3', ['-s'], {netns: netnsOf(pods[1])})
      await sleep(300)
      const figures: Record<Side, Figures[]> = {agent: [], 'by hand': []}
      for (let round = 0; round < bench.repetitions * ROUNDS; round++) {
        const order = round % 2 === 0 ? SIDES : SIDES.toReversed()
        const of = await bench.calm.measure(async () => {
          const pair = {} as Record<Side, Figures>
          for (const side of order) pair[side] = await measureLink(session, pods[0], addresses[side], seconds)
          return pair
        })
        for (const side of SIDES) figures[side].push(of[side])
      }
      server.kill('SIGKILL')
      show(session, kind, figures)
    })
  }
}

function show({bench: {results}}: Session, kind: Kind, figures: Readonly<Record<Side, readonly Figures[]>>): void {
  const part = `traffic, ${kind}`
  for (const {name, unit, pick} of [
    {name: 'TCP', unit: 'Mbit/s', pick: ({megabits}: Figures) => megabits},
    {name: 'echo', unit: 'µs', pick: ({echo}: Figures) => echo},
  ] as const) {
    const values = SIDES.map(side => figures[side].map(pick))
    for (const [i, side] of SIDES.entries()) results.add(part, side, {name, unit}, median(values[i]!), values[i]!)
    // Of each round, so that what changes from round to round does not count.
    const ratios = values[0]!.map((value, round) => value / values[1]![round]!)
    const row: Row = {name: `${name} / ${SIDES[1]}`, unit: '×', target: TARGETS[name]}
    results.add(part, SIDES[0], row, median(ratios), ratios)
  }
}

/** Of an address of the other pod. */
async function measureLink({bench: {run}}: Session, from: Pod, to: string, seconds: number): Promise<Figures> {
  const netns = netnsOf(from)
  const tcp = JSON.parse(await run.exec('iperf3', ['-c', to, '-t', `${seconds}`, '-J'], {netns})) as {
    end: {sum_received: {bits_per_second: number}}
  }
  const count = ECHOES * seconds
  const echoes = await run.exec('ping', ['-f', '-q', '-c', `${count}`, to], {netns})
  // Its own figures are of whole microseconds.
  const [, ms] = /, time (\d+)ms/.exec(echoes) ?? []
  return {megabits: tcp.end.sum_received.bits_per_second / 1e6, echo: (Number(ms) * 1000) / count}
}

/** Two pods with a link by the agents, and another one. `addresses`: of the second pod. */
async function withLinks(
  session: Session,
  kind: Kind,
  work: (pods: readonly [Pod, Pod], addresses: Readonly<Record<Side, string>>) => Promise<void>,
): Promise<void> {
  const {bench, sandboxes, nodes} = session
  const watch = await Watch.start(bench.run, sandboxes.slice(0, 2))
  const names = ['from', 'to']
  const {annotations, ends} = wishesOf(names, [[0, 1]])
  try {
    const there = sandboxes.slice(0, 2).map(sandbox => watch.expect(sandbox, ends[0]!.interface, 'there'))
    const pods: Pod[] = []
    for (const [n, name] of names.entries()) {
      const place = {name, node: nodes[kind === 'veth' ? 0 : n]!, sandbox: sandboxes[n]!}
      pods.push(await createPod(session, place, annotations[n]))
    }
    await addPods(session, pods)
    await Promise.all(there)
    const [from, to] = pods as [Pod, Pod]
    await makeByHand(session, kind, [from, to], ends[0]!.interface)
    await work([from, to], {agent: '10.96.0.2', 'by hand': '10.95.0.2'})
    for (const pod of kind === 'veth' ? [from] : pods) await ip(session, netnsOf(pod), `link del ${HAND}`)
    await endPods(session, watch, pods)
  } finally {
    await watch.stop()
  }
}

/** As one would with `ip`; with the MTU of the agent's. */
async function makeByHand(session: Session, kind: Kind, pods: readonly [Pod, Pod], like: string): Promise<void> {
  const names = pods.map(netnsOf)
  const [{mtu}] = JSON.parse(await ip(session, names[0]!, `-j link show ${like}`)) as [{mtu: number}]
  if (kind === 'veth') await ip(session, names[0]!, `link add ${HAND} type veth peer name ${HAND} netns ${names[1]}`)
  for (const [n, {node}] of pods.entries()) {
    const other = pods[1 - n]!.node
    if (kind === 'vxlan') {
      const tunnel = `vxlan id ${VNI} local ${node.address} remote ${other.address} dstport ${PORT} dev eth0`
      await ip(session, node.site.name, `link add ${HAND} type ${tunnel}`)
      await ip(session, node.site.name, `link set ${HAND} netns ${names[n]}`)
    }
    await ip(session, names[n]!, `link set ${HAND} mtu ${mtu} up`)
    await ip(session, names[n]!, `addr add 10.95.0.${n + 1}/30 dev ${HAND}`)
  }
}

const ip = ({bench: {run}}: Session, netns: string, words: string) => run.exec('ip', ['-n', netns, ...words.split(' ')])

const netnsOf = ({sandbox}: Pod): string => basename(sandbox)
