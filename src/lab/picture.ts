/** The lab as lines of text: its nodes, who reaches whom, and what happened last. Pure. */
import type {Family} from '../model/ip.ts'
import {type Line, plural, type Span, type Style, table, width} from '../model/text.ts'
import type {AgentState} from './agent-process.ts'
import {cameTrue, type Step} from './example.ts'
import type {Lab, LabEvent} from './lab.ts'
import type {LabNode} from './node.ts'
import type {PairSeen} from './pair-seen.ts'
import {pingKey} from './pings.ts'
import {type LabPod, podText} from './pods.ts'
import type {PeerRoutes} from './route-watch.ts'
import {describeWays} from './ways.ts'

/** What of a lab is shown. */
export type Shown = Pick<
  Lab,
  | ('id' | 'elapsed' | 'plan' | 'pods' | 'pairs' | 'pings' | 'events' | 'examples' | 'nodeObjects' | 'pairObjects')
  | 'kubeconfig'
> & {
  readonly controlPlane: Pick<Lab['controlPlane'], 'name' | 'url'>
  readonly nodes: readonly Pick<LabNode, 'name' | 'plan' | 'agent' | 'routes'>[]
  expectedRoutes(name: string): number | undefined
}

/** Lines; the least where the rest needs the room. */
const EVENTS = {least: 2, most: 6} as const
const GAP = '   '

/** At most `rows` lines, meant for `columns`. */
export function picture(lab: Shown, columns: number, rows: number): Line[] {
  const head: Line[] = [title(lab), [{text: kubectlLine(lab), style: 'dim'}], []]
  const body = [...nodeTable(lab), ...pingTables(lab, columns), ...pairTable(lab), ...exampleLines(lab)]
  const free = rows - head.length - body.length - 1
  const events = lab.events.slice(-Math.max(EVENTS.least, Math.min(EVENTS.most, free))).map(eventLine)
  const tail: Line[] = [[], ...events]
  const room = Math.max(0, rows - head.length - tail.length)
  if (body.length <= room) return [...head, ...body, ...tail]
  const hidden = body.length - room + 1
  const note: Line = [{text: `… ${hidden} more lines in a higher window`, style: 'dim'}]
  return [...head, ...body.slice(0, Math.max(0, room - 1)), note, ...tail].slice(0, rows)
}

/** For people to try. */
export const kubectlLine = ({kubeconfig}: Pick<Lab, 'kubeconfig'>, what = 'get nodes'): string =>
  `kubectl --kubeconfig ${kubeconfig} ${what}`

export function stepLine({text, ms}: Step): Line {
  const style = ms === undefined ? 'bad' : 'good'
  return [
    {text: ms === undefined ? '✘' : '✔', style},
    {text: ` ${text}`, ...(ms === undefined && {style})},
    ...(ms === undefined ? [] : [span(`${GAP}${milliseconds(ms).trim()} ms`, 'dim')]),
  ]
}

/** The last one whole; of those before it that came true the number of steps. */
const exampleLines = (lab: Shown): Line[] =>
  lab.examples.flatMap((example, i) => {
    const {name, steps, hint} = example
    const brief = i < lab.examples.length - 1 && cameTrue(example)
    return [
      [],
      [span(name.toUpperCase(), 'dim'), ...(brief ? [span(`${GAP}✔ ${plural(steps.length, 'step')}`, 'good')] : [])],
      ...(brief ? [] : steps.map(stepLine)),
      ...(hint ? [[span(kubectlLine(lab, hint), 'dim')]] : []),
    ]
  })

function pairTable({pairObjects}: Shown): Line[] {
  if (pairObjects.size === 0) return []
  const heads = ['PAIR', '', 'NODES', 'KIND', 'STATE']
  const rows = [...pairObjects.values()].map(({ends, kind, vni, state}: PairSeen) => [
    ...[0, 1].map(i => span(ends[i] ? `${ends[i].pod}:${ends[i].interface}` : '')),
    span([...new Set(ends.map(({node}) => node))].join(' ')),
    span([kind, vni].join(' ').trim()),
    span(state, state === 'up' ? 'good' : 'warn'),
  ])
  return [[], ...table([heads.map(head => span(head, 'dim')), ...rows], GAP)]
}

export function eventLine({at, node, text, mood}: LabEvent): Line {
  const time = `${(at / 1000).toFixed(1)} s`.padStart(8)
  return [
    {text: time, style: 'dim'},
    {text: `  ${node ?? ''}`.padEnd(6)},
    {text: ` ${text}`, ...(mood && {style: mood})},
  ]
}

function title({id, elapsed, controlPlane}: Shown): Line {
  const seconds = Math.floor(elapsed / 1000)
  const clock = `${Math.floor(seconds / 60)}:${`${seconds % 60}`.padStart(2, '0')}`
  return [
    {text: `Netgraft lab ${id}`, style: 'bold'},
    {text: `${GAP}${clock}${GAP}${controlPlane.name} API server ${controlPlane.url}${GAP}Ctrl-C ends it`},
  ]
}

function nodeTable(lab: Shown): Line[] {
  const heads = ['NODE', 'ADDRESSES', 'POD RANGES', 'ROUTES', 'PODS', 'AGENT']
  const rows = lab.nodes.map(({name, plan, agent, routes}) => {
    const object = lab.nodeObjects?.get(name as never)
    const expected = lab.expectedRoutes(name)
    const ranges = object ? object.podCIDRs.join(' ') || 'none' : lab.nodeObjects ? 'no Node object' : ''
    return [
      span(name),
      span(plan.addresses.map(({ip}) => ip).join(' ')),
      span(ranges, object || !lab.nodeObjects ? undefined : 'warn'),
      span(routesText(routes, expected), routes.size === expected ? 'good' : 'warn'),
      podsSpan(lab.pods.filter(pod => pod.node === name)),
      agentSpan(agent.state),
    ]
  })
  return table([heads.map(head => span(head, 'dim')), ...rows], GAP)
}

/** "4 of 4 direct", "3 of 4: 2 direct, 1 vxlan". */
function routesText(routes: PeerRoutes, expected: number | undefined): string {
  const ways = describeWays(routes.values())
  return `${routes.size} of ${expected ?? '?'}${ways.includes(',') ? ':' : ''} ${ways}`.trimEnd()
}

/** "2 of 2 up, ADD 3.1 ms": the median. */
function podsSpan(pods: readonly LabPod[]): Span {
  const times = pods.flatMap(({addMs}) => addMs ?? []).sort((a, b) => a - b)
  const median = times[times.length >> 1]
  const text = `${times.length} of ${pods.length} up${median === undefined ? '' : `, ADD ${milliseconds(median)} ms`}`
  return span(text, times.length === pods.length ? 'good' : 'warn')
}

function agentSpan(state: AgentState): Span {
  switch (state.is) {
    case 'ready':
      return span('ready', 'good')
    case 'starting':
      return span('starting', 'warn')
    case 'waiting':
      return span(state.why, 'warn')
    default:
      return span(`${state.is} (${state.how})`, 'bad')
  }
}

/** A matrix per family: side by side, else one below the other, else a line per pod. */
function pingTables(lab: Shown, columns: number): Line[] {
  const pods = [...new Set(lab.pairs.map(({from}) => from))]
  if (pods.length === 0) return []
  const blocks = lab.plan.families.map((_, i) => matrix(lab, pods, i))
  const widths = blocks.map(block => Math.max(...block.map(width)))
  if (widths.reduce((sum, each) => sum + each + GAP.length) <= columns) return [[], ...beside(blocks, widths)]
  if (Math.max(...widths) <= columns) return blocks.flatMap(block => [[], ...block])
  return lab.plan.families.flatMap((_, i) => [[], ...summary(lab, pods, i)])
}

function matrix(lab: Shown, pods: readonly LabPod[], nth: number): Line[] {
  const family = lab.plan.families[nth]!
  const head = [span(`IPv${family} PINGS, ms`, 'dim'), ...pods.map(pod => span(podText(pod), 'dim'))]
  const rows = pods.map(from => [
    span(addressed(from, family)),
    ...pods.map(to => (from === to ? span('') : cell(lab.pings.get(pingKey({from, to, family}))))),
  ])
  return table([head, ...rows], ' ')
}

function cell(result: {ms: number | undefined} | undefined): Span {
  if (!result) return span('·', 'dim')
  return result.ms === undefined ? span('✗', 'bad') : span(`✓ ${milliseconds(result.ms)}`, 'good')
}

/** Four characters. */
const milliseconds = (ms: number): string => (ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0))

const addressed = (pod: LabPod, family: Family): string =>
  `${podText(pod)} ${pod.addresses.find(ip => ip.family === family) ?? ''}`.trimEnd()

function summary(lab: Shown, pods: readonly LabPod[], nth: number): Line[] {
  const family = lab.plan.families[nth]!
  const rows = pods.map(from => {
    const results = pods.filter(to => to !== from).map(to => lab.pings.get(pingKey({from, to, family})))
    const answered = results.flatMap(result => result?.ms ?? [])
    const silent = results.filter(result => result && result.ms === undefined).length
    const slowest = answered.length > 0 ? `slowest ${milliseconds(Math.max(...answered))} ms` : ''
    const style = silent > 0 ? 'bad' : answered.length === results.length ? 'good' : 'dim'
    return [
      span(addressed(from, family)),
      span(`${answered.length} of ${results.length} answered`, style),
      span(slowest),
    ]
  })
  return table([[span(`IPv${family} PINGS`, 'dim')], ...rows], GAP)
}

function beside(blocks: readonly Line[][], widths: readonly number[]): Line[] {
  return blocks[0]!.map((_, row) =>
    blocks.flatMap((block, i) => {
      const line = block[row]!
      return i === blocks.length - 1 ? line : [...line, span(' '.repeat(widths[i]! - width(line) + GAP.length))]
    }),
  )
}

const span = (text: string, style?: Style): Span => (style ? {text, style} : {text})
