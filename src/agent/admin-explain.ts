/** The admin API's answer to "what is that?": an address, a pod, or an interface. Pure. */
import {parseAlias} from '../cni/types/marks.ts'
import type {AdminAttachment, AdminExplanation, AdminPairEnd, AdminRoute} from '../model/admin.ts'
import type {NodeFacts} from '../model/facts.ts'
import {Cidr, hostLength, type Ip, parseCidr, parseIp} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import type {Link, Route} from '../model/net.ts'
import {OWN_ALIAS} from '../model/plans.ts'
import type {PodFacts} from '../streams/pods.ts'
import {type BeyondFacts, explainNode, explainRange} from './admin-explain-nodes.ts'
import {words} from './admin-routes.ts'
import type {CniRefusal} from './cni-refusals.ts'

export type Subject =
  | {readonly kind: 'address'; readonly text: string; readonly ip: Ip}
  | {readonly kind: 'range'; readonly text: string; readonly cidr: Cidr}
  | {readonly kind: 'node'; readonly text: string}
  | {readonly kind: 'pod'; readonly text: string}
  | {readonly kind: 'interface'; readonly text: string}

/** An address, or a range; what has a slash is "namespace/pod"; else a node's name, or an interface's. */
export function parseSubject(text: string, isNode: (name: string) => boolean): Subject {
  try {
    const ip = parseIp(text)
    return {kind: 'address', text: `${ip}`, ip}
  } catch {}
  try {
    const cidr = parseCidr(text)
    return {kind: 'range', text: `${cidr}`, cidr}
  } catch {}
  if (text.includes('/')) return {kind: 'pod', text}
  return isNode(text) ? {kind: 'node', text} : {kind: 'interface', text}
}

export interface ExplainFacts {
  /** Undefined: it has not been read yet. */
  readonly kernel: KernelState | undefined
  /** Of an address: of the ranges that it is in, the longest first. Of a range, and of a node: its own. */
  readonly routes: AdminExplanation['routes']
  /** Of an address: nodes that have it themselves. Of a node: itself. */
  readonly hosts: readonly NodeFacts[]
  /** Of an address: what else is known of it. */
  readonly beyond: (seen: Pick<BeyondFacts, 'isKnown' | 'isReached'>) => readonly string[]
  readonly attachments: readonly AdminAttachment[]
  readonly pairs: readonly AdminPairEnd[]
  /** Of this node. */
  readonly pod: (key: string) => PodFacts | undefined
  /** Of a pod that has not been served since. */
  readonly refusal: (key: string) => CniRefusal | undefined
  /** Why some of it is not known: sentences. */
  readonly unknown: readonly string[]
}

type Found = Pick<AdminExplanation, 'says'> & Partial<Pick<AdminExplanation, 'routes' | 'attachments' | 'pairs'>>

export function explain(subject: Subject, facts: ExplainFacts): AdminExplanation {
  const {
    routes = [],
    attachments = [],
    pairs = [],
    says,
  } = subject.kind === 'address'
    ? explainAddress(subject.ip, facts)
    : subject.kind === 'pod'
      ? explainPod(subject.text, facts)
      : subject.kind === 'interface'
        ? explainInterface(subject.text, facts)
        : {says: explainPlace(subject, facts), routes: facts.routes}
  const {kind, text} = subject
  const known = says.length > 0
  const nothing = [`nothing is known of ${text}: ${NOTHING[kind]}`]
  return {subject: text, kind, known, says: [...(known ? says : nothing), ...facts.unknown], routes, attachments, pairs}
}

const explainPlace = (subject: Extract<Subject, {kind: 'range'} | {kind: 'node'}>, {routes, hosts}: ExplainFacts) =>
  subject.kind === 'range' ? explainRange(subject.cidr, routes) : explainNode(subject.text, hosts[0], routes)

const NOTHING = {
  range: 'no node has a pod range that meets it',
  node: 'there is no such node',
  address: "no node has it or a pod range around it, and the node's main table has no route to it",
  pod: 'it is no pod of this node; ask the agent of its own node',
  interface:
    'there is no node of that name, and neither this node nor a pod of it has such an interface; write a pod as namespace/name',
} as const

function explainAddress(ip: Ip, {kernel, routes, hosts, attachments, pairs, beyond}: ExplainFacts): Found {
  const text = `${ip}`
  const has = ({addresses}: {readonly addresses: readonly string[]}) =>
    addresses.some(each => each.split('/')[0] === text)
  const [holders, ends] = [attachments.filter(has), pairs.filter(has)]
  const says: string[] = []
  const device = kernel && deviceWith(kernel, text)
  if (device) says.push(`${text} is an address of this node itself, on ${device.name}`)
  for (const {name} of hosts) says.push(`${text} is an address of node ${name} itself`)
  for (const each of holders) says.push(`${text} is an address of ${placeOf(each)}: ${stateOf(each)}`)
  for (const {pod, interface: ifname, peer, state} of ends)
    says.push(`${text} is an address of ${pod}:${ifname} (${state}), a pair with ${peer}: only these two pods see it`)
  const [nearest] = routes
  if (nearest) says.push(rangeSentence(nearest, holders.length > 0))
  const isKnown = says.length > 0
  if (kernel && !device && holders.length === 0) {
    const way = wayTo(kernel, ip)
    if (way) says.push(`this node's main table leads it ${wayWords(way, kernel)} (its route to ${way.destination})`)
    else if (says.length > 0) says.push("this node's main table has no route to it")
  }
  if (!device) says.push(...beyond({isKnown, isReached: says.length > 0}))
  return {says, routes, attachments: holders, pairs: ends}
}

function rangeSentence({node, range, own, state, wanted, reason}: AdminRoute, isHeld: boolean): string {
  if (own)
    return isHeld
      ? `it is in this node's own range ${range}`
      : `it is in this node's own range ${range}, but no pod of this node has it`
  const there = `it is in the range ${range} of node ${node}`
  if (state === 'stands') return `${there}, to which this node's route leads: ${wanted}${reason ? `; ${reason}` : ''}`
  return `${there}, to which ${state === 'behind' ? `this node's route (${wanted}) does not lead` : 'there is no route'}: ${reason}`
}

function explainPod(key: string, {pod: podOf, refusal, attachments, pairs}: ExplainFacts): Found {
  const pod = podOf(key)
  const own = attachments.filter(each => each.pod === key)
  const ends = pairs.filter(each => each.pod === key)
  const says: string[] = []
  if (pod) {
    says.push(
      pod.hostNetwork
        ? `${key} is a pod of this node, and has the node's own network`
        : `${key} is a pod of this node${pod.ending ? ', and is about to end' : ''}`,
    )
    if (!pod.hostNetwork && own.length === 0)
      says.push('the journal has no network of it: it has not started yet, or another agent has served it')
  } else if (own.length > 0)
    says.push(`${key} has networks here, though the API server tells of no such pod on this node`)
  const refused = refusal(key)
  if (refused)
    says.push(`the last ADD of its ${refused.ifname}, at ${refused.at.toISOString()}, was refused: ${refused.reason}`)
  for (const each of own) says.push(`${each.interface ?? 'an interface'}: ${stateOf(each)}`)
  for (const each of ends) says.push(endSentence(each))
  // Of a pod elsewhere a pair tells where it is.
  if (says.length === 0)
    for (const each of pairs.filter(({peer}) => peer?.startsWith(`${key}:`)))
      says.push(
        `${key} is ${each.peerNode === undefined ? 'on no node that tells of it' : `on node ${each.peerNode}`}; ${each.pod} of this node has a pair with it: ${endSentence(each)}`,
      )
  return {says, attachments: own, pairs: ends}
}

/** Rows of one name in many pods. */
const MANY = 20

function explainInterface(name: string, {kernel, attachments, pairs}: ExplainFacts): Found {
  const link = kernel && [...kernel.links.values()].find(each => each.name === name)
  const owner = parseAlias(link?.alias)
  const isOwners = ({container, interface: ifname}: AdminAttachment) =>
    container === owner?.containerId && ifname === owner?.ifname
  const says: string[] = []
  if (kernel && link) says.push(linkSentence(link, kernel, attachments.find(isOwners)))
  const inside = attachments.filter(each => each.interface === name)
  const ends = pairs.filter(each => each.interface === name)
  for (const each of inside.slice(0, MANY)) says.push(`${placeOf(each)}: ${stateOf(each)}`)
  if (inside.length > MANY) says.push(`${inside.length - MANY} more pods have an interface of that name`)
  for (const each of ends.slice(0, MANY)) says.push(`${each.pod}: ${endSentence(each)}`)
  return {says, attachments: [...attachments.filter(isOwners), ...inside], pairs: ends}
}

function linkSentence(link: Link, {addresses}: KernelState, attachment: AdminAttachment | undefined): string {
  const {name, kind = 'device', up, carrier, mtu, alias, index} = link
  const what = `${name} is a ${kind} of this node (${up ? (carrier ? 'up' : 'up, no carrier') : 'down'}, mtu ${mtu}`
  const own = (addresses.get(index) ?? []).map(({ip, length}) => `${ip}/${length}`).join(' ')
  const about = `${what}${own && `, ${own}`})`
  if (attachment) return `${about}: the node's end of ${placeOf(attachment)}`
  const owned = parseAlias(alias)
  if (owned)
    return `${about}: the node's end of ${owned.ifname} of container ${owned.containerId}, of which the journal does not know`
  return alias?.startsWith(OWN_ALIAS)
    ? `${about}: Netgraft's, for ${alias.slice(OWN_ALIAS.length)}`
    : `${about}: none of Netgraft's`
}

const placeOf = ({pod, container, interface: ifname}: AdminAttachment): string =>
  `${pod ?? `container ${container}`}:${ifname ?? '?'}`

const stateOf = ({state, network, addresses, trouble}: AdminAttachment): string =>
  [`${state}, network ${network}`, addresses.join(' '), trouble].filter(Boolean).join('; ')

const endSentence = ({interface: ifname, peer, kind, vni, peerNode, state, reason}: AdminPairEnd): string => {
  const way = kind === undefined ? '' : ` by ${kind}${vni === undefined ? '' : ` ${vni}`}`
  const where = peerNode === undefined ? '' : ` on node ${peerNode}`
  const title = ifname === undefined ? 'a pair' : `${ifname}, the pair with ${peer ?? 'somebody'}${where}`
  return `${title} is ${state}${way}${reason === undefined ? '' : `: ${reason}`}`
}

function deviceWith({addresses, links}: KernelState, text: string): Link | undefined {
  for (const [index, list] of addresses) if (list.some(({ip}) => `${ip}` === text)) return links.get(index)
  return undefined
}

const wayWords = (route: Route, kernel: KernelState): string =>
  `${words(route, kernel)}, proto ${route.protocol} metric ${route.metric}`

/** Of the main table, as the kernel would choose. */
function wayTo({routes}: KernelState, ip: Ip): Route | undefined {
  for (let length = hostLength(ip.family); length >= 0; length--) {
    const ways = (routes.get(`${new Cidr(ip, length)}`) ?? []).filter(({tos}) => !tos)
    if (ways.length > 0) return ways.reduce((best, each) => (each.metric < best.metric ? each : best))
  }
  return undefined
}
