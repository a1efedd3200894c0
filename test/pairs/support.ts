/** Pods, nodes and pairs from a few words, and what becomes of them as text. */
import type {NodeName} from '../../src/model/facts.ts'
import type {Endpoint, Pair, PairKey, PairPlan, PairProblem, PodKey, VniClaim} from '../../src/model/pair.ts'
import {parsePairs} from '../../src/pairs/declarations.ts'
import {endText} from '../../src/pairs/key.ts'
import {matchPairs} from '../../src/pairs/pairs.ts'
import type {PairRules} from '../../src/pairs/verdicts.ts'

export const PAIRS = 'netgraft.dev/pairs'

export const names = (text: string): ReadonlySet<NodeName> => new Set(text.split(' ').filter(Boolean) as NodeName[])

const NODES: Readonly<Record<string, Endpoint['underlay']>> = {
  n1: {4: {ip: '192.168.0.1', mtu: 1500}, 6: {ip: 'fd00::1', mtu: 1500}},
  n2: {4: {ip: '192.168.0.2', mtu: 1500}, 6: {ip: 'fd00::2', mtu: 1500}},
  n3: {6: {ip: 'fd00::3', mtu: 9000}},
  n4: {4: {ip: '192.168.0.4', mtu: 1300}},
  n5: {4: {ip: '192.168.0.1', mtu: 1500}},
}

/**
 * "[namespace/]pod[@node]: interface>[namespace/]pod[:interface] [name=x] [mtu=1400] [ip=10.0.0.1/24] [mac=…], …". Without
 * a namespace it is d's. With "(labels …)" it has those of ratchet. Each is newer than the one before. "!": no sandbox yet.
 */
export function endpoints(...texts: string[]): Map<PodKey, Endpoint> {
  return new Map(texts.map((text, age) => endpoint(text, age)).map(each => [`${each.namespace}/${each.pod}`, each]))
}

function endpoint(text: string, age: number): Endpoint {
  const [, head = '', labelText, list = ''] = /^([^\s:]+)(?: \((.*)\))?(?:: (.*))?$/.exec(text)!
  const [key = '', node = 'n1'] = head.replace('!', '').split('@')
  const [pod = '', namespace = 'd'] = key.split('/').toReversed()
  const elements = list.split(', ').filter(Boolean).map(element)
  const labels = Object.fromEntries(
    (labelText ?? '').split(' ').flatMap(each => (each === '' ? [] : [labelOf(each.split('=') as [string, string])])),
  )
  const annotations = elements.length > 0 ? {[PAIRS]: JSON.stringify(elements)} : {}
  const {declarations, problems, ratchetName} = parsePairs(annotations, labels, {namespace, name: pod})
  if (problems.length > 0) throw new Error(problems[0]!.message)
  return {
    namespace,
    pod,
    uid: `uid-${age}`,
    createdAt: age,
    node: node as NodeName,
    ...(!head.endsWith('!') && {sandbox: `box-${pod}`}),
    ...(ratchetName !== undefined && {ratchetName}),
    underlay: NODES[node] ?? {},
    declarations,
  }
}

const labelOf = ([key, value]: [string, string]): [string, string] => [
  key === 'ratchet' ? key : `ratchet.${key}`,
  value,
]

function element(text: string): object {
  const [ends = '', ...more] = text.split(' ')
  const [own, other = ''] = ends.split('>')
  const [peer, peerInterface] = other.split(':')
  const fields = more.map(each => each.split('=') as [string, string])
  const all = (key: string) => fields.flatMap(([name, value]) => (name === key ? value : []))
  const [mtu] = all('mtu')
  return {
    interface: own,
    peer,
    peerInterface,
    name: all('name')[0],
    mac: all('mac')[0],
    ...(mtu !== undefined && {mtu: Number(mtu)}),
    ips: all('ip'),
    routes: all('route').map(each => ({dst: each.split('~')[0], gw: each.split('~')[1]})),
  }
}

/** Between namespaces with these words in common: "x>y". */
export const rules = (...allowed: string[]): PairRules => ({mayPair: (from, to) => allowed.includes(`${from}>${to}`)})

export const formatPairs = (pairs: ReadonlyMap<PairKey, Pair>): string => [...pairs.values()].map(formatPair).join('\n')

export function formatPair({ends, name, mtu}: Pair): string {
  const [a, b] = ends.map(end => [endText(end), ...end.ips, end.mac].filter(Boolean).join(' '))
  return [`${a} -- ${b}`, name && `name ${name}`, mtu && `mtu ${mtu}`].filter(Boolean).join(' ')
}

export const formatProblems = (problems: ReadonlyMap<PodKey, readonly PairProblem[]>): string =>
  [...problems]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([pod, list]) => list.map(({kind, at, message}) => `${pod} [${at}] ${kind}: ${message}`))
    .join('\n')

export const pairsOf = (...texts: string[]): ReadonlyMap<PairKey, Pair> =>
  matchPairs(endpoints(...texts), rules()).pairs

/** "7 d/a.in1.b.in1 n1". */
export const claims = (...texts: string[]): Map<number, VniClaim> =>
  new Map(
    texts.map(text => {
      const [vni, pair, node] = text.split(' ')
      return [Number(vni), {pair: pair as PairKey, node: node as NodeName}]
    }),
  )

export const formatPlans = (plans: ReadonlyMap<PairKey, PairPlan>): string =>
  [...plans.values()].map(formatPlan).join('\n')

function formatPlan(plan: PairPlan): string {
  const ends = plan.ends.map(end => {
    const routes = end.routes.map(
      ({dst, gw, onlink}) => `route ${dst}${gw ? ` via ${gw}` : ''}${onlink ? ' onlink' : ''}`,
    )
    const words = [`${end.pod}:${end.interface}`, ...end.ips.map(({ip, length}) => `${ip}/${length}`), ...routes]
    return words.join(' ')
  })
  return `${wayOf(plan)} [${ends.join(' | ')}]`
}

function wayOf(plan: PairPlan): string {
  if (plan.kind === 'waiting') return `waiting for ${plan.waitsFor}: ${plan.reason}`
  if (plan.kind === 'impossible') return `impossible: ${plan.reason}`
  const notes = plan.notes.map(note => ` (${note})`).join('')
  if (plan.kind === 'veth') return `veth mtu ${plan.mtu}${notes}`
  return `vxlan ${plan.vni} port ${plan.port} ${plan.local} > ${plan.remote} mtu ${plan.mtu}${notes}`
}
