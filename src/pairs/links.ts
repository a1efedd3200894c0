/**
 * A pair's links in the pods of this node: found again by their alias, compared with what is wanted, made, changed in place
 * or taken away. Nothing is remembered: what stands after a restart of the agent stays untouched.
 */
import {NetgraftError, quoted} from '../model/errors.ts'
import type {Family, Ip} from '../model/ip.ts'
import {Cidr} from '../model/ip.ts'
import type {NamespaceKernel, Sandbox, Step} from '../model/namespace.ts'
import {type Address, IFA_F, type IfIndex, type Link, type LinkKind, type Route, TABLE_MAIN} from '../model/net.ts'
import type {LocalEnd, PairKey, VethPlan, VxlanPlan} from '../model/pair.ts'
import {OWN_ALIAS} from '../model/plans.ts'

/** Of links: the mark, before the pair's key. */
const ALIAS = `${OWN_ALIAS}pair:`
/** Of links that have no alias yet. Another one than that of attachments, which leave theirs in pods without an alias. */
const PAIR_GROUP = 0x6e70
/** `rtm_protocol` of a pair's routes in the pods, and IFA_PROTO of its addresses. */
const PROTOCOL = 107

/** The kernel's refusal, or what stands in the way. The message is one sentence that says what to do. */
export class PairLinkError extends NetgraftError {
  readonly code = 'EPAIR'
}

/** What a call has done. made: a link was made, whatever stood there before. */
export type Done = 'kept' | 'changed' | 'made'

/** A link of a pair in a pod. */
export interface StandingEnd {
  readonly pair: PairKey
  readonly link: Link
}

interface Inside {
  readonly end: LocalEnd
  readonly sandbox: Sandbox
  readonly kernel: NamespaceKernel
  readonly link: Link | undefined
}

/** Rejects with PairLinkError, and with what a namespace that has gone says. */
export async function ensureVeth(
  host: NamespaceKernel,
  plan: VethPlan,
  sandboxes: readonly [Sandbox, Sandbox],
): Promise<Done> {
  const {pair, mtu} = plan
  const [a, b] = await Promise.all([
    look(plan.ends[0], sandboxes[0], pair.key),
    look(plan.ends[1], sandboxes[1], pair.key),
  ])
  const stands = a.link && b.link && isVethOf(a.link, b.link)
  if (stands) return worst(await Promise.all([adjust(a, pair.key, mtu, a.link!), adjust(b, pair.key, mtu, b.link!)]))
  // One end takes the other along, unless both are of different links.
  for (const inside of [a, b]) await drop(inside)
  const item = {
    name: a.end.interface,
    group: PAIR_GROUP,
    mtu,
    mac: a.end.mac,
    netns: a.sandbox.fd,
    kind: {
      type: 'veth',
      peer: {name: b.end.interface, netns: b.sandbox.fd, mtu, mac: b.end.mac, group: PAIR_GROUP},
    } as const,
  }
  await make(host, pair.key, item)
  await Promise.all([a, b].map(inside => finish(inside, pair.key, mtu)))
  return 'made'
}

/** `dev`: of the host, that has the local address. Rejects as {@link ensureVeth}. */
export async function ensureVxlan(
  host: NamespaceKernel,
  plan: VxlanPlan,
  sandbox: Sandbox,
  dev: IfIndex | undefined,
): Promise<Done> {
  const {pair, mtu, vni, port, local, remote} = plan
  const [end] = plan.ends
  const inside = await look(end, sandbox, pair.key)
  if (inside.link && isVxlanOf(inside.link, plan)) return adjust(inside, pair.key, mtu, inside.link)
  await drop(inside)
  const kind = {type: 'vxlan', vni, port, local, remote, ...(dev !== undefined && {dev})} as const
  const item = {name: end.interface, group: PAIR_GROUP, mtu, mac: end.mac, netns: sandbox.fd, kind}
  await make(host, pair.key, item).catch(async error => {
    // Somebody may have given it another name, under which it keeps its VNI.
    const renamed = (await standingEnds(sandbox)).filter(each => each.pair === pair.key)
    if (renamed.length === 0) throw error
    for (const each of renamed) await removeEnd(sandbox, each)
    await make(host, pair.key, item)
  })
  await finish(inside, pair.key, mtu)
  return 'made'
}

/** Of a pod: every link of a pair of ours. */
export async function standingEnds(sandbox: Sandbox): Promise<readonly StandingEnd[]> {
  const kernel = await sandbox.kernel()
  return (await kernel.links()).flatMap(link => {
    const pair = pairOf(link)
    return pair === undefined ? [] : [{pair, link}]
  })
}

/** Of a pod: links of which it cannot be told any more for which pair they were made, unless they are being made now. */
export async function removeUnmarked(sandbox: Sandbox, stays: (link: IfIndex) => boolean): Promise<readonly IfIndex[]> {
  const kernel = await sandbox.kernel()
  const all = (await kernel.links()).filter(isUnmarked).map(({index}) => index)
  await kernel.change(all.filter(index => !stays(index)).map(item => ({op: 'delete', object: 'link', item})))
  return all.filter(stays)
}

/** A veth goes at both ends. What has gone already is a success. Rejects with PairLinkError. */
export async function removeEnd(sandbox: Sandbox, {link, pair}: StandingEnd): Promise<void> {
  const kernel = await sandbox.kernel()
  const [outcome] = await kernel.change([{op: 'delete', object: 'link', item: link.index}])
  if (outcome?.refusal && outcome.refusal.code !== 'ENODEV')
    throw new PairLinkError(
      `${quoted(link.name)} of pair ${quoted(pair)} cannot be removed: ${outcome.refusal.message}`,
    )
}

/** Undefined: it is no link of a pair. */
export const pairOf = ({alias}: Link): PairKey | undefined =>
  alias?.startsWith(ALIAS) ? (alias.slice(ALIAS.length) as PairKey) : undefined

/** Such a link is being made at this moment, or was by an agent that was killed a moment later. */
const isUnmarked = ({alias, group}: Link): boolean => alias === undefined && group === PAIR_GROUP

const isOurs = (link: Link): boolean => pairOf(link) !== undefined || isUnmarked(link)

async function look(end: LocalEnd, sandbox: Sandbox, key: PairKey): Promise<Inside> {
  const kernel = await sandbox.kernel()
  const link = await kernel.link(end.interface)
  if (link && !isOurs(link))
    throw new PairLinkError(
      `pod ${quoted(end.pod)} has an interface ${quoted(end.interface)} already, and not of our making; remove it, or give pair ${quoted(key)} another one`,
    )
  return {end, sandbox, kernel, link}
}

const isVethOf = (a: Link, b: Link): boolean =>
  a.kind === 'veth' && b.kind === 'veth' && a.parent === b.index && b.parent === a.index && pairOf(a) === pairOf(b)

function isVxlanOf(link: Link, {vni, port, local, remote}: VxlanPlan): boolean {
  const {vxlan} = link
  return (
    vxlan !== undefined &&
    vxlan.vni === vni &&
    vxlan.port === port &&
    `${vxlan.local}` === `${local}` &&
    `${vxlan.remote}` === `${remote}`
  )
}

async function drop({kernel, link}: Inside): Promise<void> {
  if (link) await kernel.change([{op: 'delete', object: 'link', item: link.index}])
}

interface NewLink {
  readonly name: string
  readonly group: number
  readonly mtu: number
  readonly mac: LocalEnd['mac']
  readonly netns: number
  readonly kind: LinkKind
}

async function make(host: NamespaceKernel, key: PairKey, item: NewLink): Promise<void> {
  const [outcome] = await host.change([{op: 'add', object: 'link', item}])
  if (!outcome?.refusal) return
  const {code, message} = outcome.refusal
  const why =
    code === 'EEXIST' && item.kind.type === 'vxlan'
      ? `VNI ${item.kind.vni} is in use on UDP port ${item.kind.port} of this node: ${message}`
      : message
  throw new PairLinkError(`the link of pair ${quoted(key)} cannot be made: ${why}`)
}

/** A link that has just been made: mark, up, addresses, routes. */
async function finish(inside: Inside, key: PairKey, mtu: number): Promise<void> {
  const {kernel, end} = inside
  const link = await kernel.link(end.interface)
  if (!link)
    throw new PairLinkError(`${quoted(end.interface)} of pod ${quoted(end.pod)} has gone as soon as it was made`)
  await adjust({...inside, link}, key, mtu, link)
}

/** In place: only what is not as it should be. */
async function adjust({kernel, end}: Inside, key: PairKey, mtu: number, link: Link): Promise<Done> {
  const {index} = link
  const alias = `${ALIAS}${key}`
  const settings = {
    ...(link.alias !== alias && {alias}),
    ...(link.mtu !== mtu && {mtu}),
    ...(link.mac !== end.mac && {mac: end.mac}),
    ...(!link.up && {up: true}),
  }
  const addresses = (await kernel.addresses({index})).filter(each => each.index === index && each.scope !== 'link')
  const families = [...new Set(end.routes.map(({dst}) => dst.family).concat(end.ips.map(({ip}) => ip.family)))]
  const have = (await Promise.all(families.map(family => ownRoutes(kernel, family, index)))).flat()
  const steps: Step[] = [
    ...(Object.keys(settings).length > 0 ? [{op: 'set', object: 'link', item: index, to: settings} as const] : []),
    ...addressSteps(end, index, addresses),
  ]
  const touched = steps.length > 0
  const want = end.routes.map(route => routeOf(route, index))
  const known = new Set(have.map(textOf))
  const wanted = new Set(want.map(textOf))
  steps.push(
    ...have.filter(route => !wanted.has(textOf(route))).map((item): Step => ({op: 'delete', object: 'route', item})),
    // An address that has gone may have taken routes along.
    ...want
      .filter(route => touched || !known.has(textOf(route)))
      .map((item): Step => ({op: 'add', object: 'route', item})),
  )
  if (steps.length === 0) return 'kept'
  const what = `${quoted(end.interface)} of pod ${quoted(end.pod)} cannot be set up for pair ${quoted(key)}`
  await changeAll(kernel, what, steps, step => step.object === 'route' && !known.has(textOf(step.item)))
  return 'changed'
}

/** Deleting an IPv4 address may take others of its subnet along: all that are wanted are then given again. */
function addressSteps({ips}: LocalEnd, index: IfIndex, have: readonly Address[]): Step[] {
  const text = ({ip, length}: {readonly ip: Ip; readonly length: number}) => `${ip}/${length}`
  const wanted = new Set(ips.map(text))
  const known = new Set(have.map(text))
  // What somebody has added in the pod is none of ours.
  const surplus = have.filter(each => each.protocol === PROTOCOL && !wanted.has(text(each)))
  const missing = ips.filter(each => surplus.length > 0 || !known.has(text(each)))
  return [
    ...surplus.map(({ip, length}): Step => ({op: 'delete', object: 'address', item: {index, ip, length}})),
    ...missing.map(
      ({ip, length}): Step => ({
        op: 'add',
        object: 'address',
        item: {index, ip, length, protocol: PROTOCOL, ...(ip.family === 6 && {flags: IFA_F.NODAD})},
      }),
    ),
  ]
}

const ownRoutes = async (kernel: NamespaceKernel, family: Family, index: IfIndex): Promise<Route[]> =>
  (await kernel.routes({family, table: TABLE_MAIN})).filter(
    ({protocol, nextHops}) => protocol === PROTOCOL && nextHops.some(({dev}) => dev === index),
  )

const METRIC = {4: 0, 6: 1024} as const

const routeOf = ({dst, gw, onlink}: LocalEnd['routes'][number], dev: IfIndex): Route => ({
  destination: new Cidr(dst.address, dst.length),
  type: 'unicast',
  table: TABLE_MAIN,
  protocol: PROTOCOL,
  metric: METRIC[dst.family],
  scope: gw || dst.family === 6 ? 'global' : 'link',
  nextHops: [{dev, ...(gw && {gateway: gw}), ...(gw && onlink && {onlink: true})}],
})

const textOf = ({destination, nextHops}: Route): string => `${destination} ${nextHops[0]?.gateway ?? ''}`

/** What is there already, or has gone already, is as it should be. */
const HARMLESS: Readonly<Record<string, ReadonlySet<string>>> = {
  add: new Set(['EEXIST']),
  delete: new Set(['EADDRNOTAVAIL', 'ESRCH', 'ENODEV']),
}

/** `isNew`: what stands there already is somebody else's. */
async function changeAll(
  kernel: NamespaceKernel,
  what: string,
  steps: readonly Step[],
  isNew: (step: Step) => boolean,
): Promise<void> {
  const outcomes = await kernel.change(steps)
  for (const [i, {refusal}] of outcomes.entries()) {
    const step = steps[i]!
    if (!refusal || (HARMLESS[step.op]?.has(refusal.code) && !(step.op === 'add' && isNew(step)))) continue
    const taken = refusal.code === 'EEXIST' && step.op === 'add' && step.object === 'route'
    const why = taken ? `the pod has a route to ${step.item.destination} already; write another one` : refusal.message
    throw new PairLinkError(`${what}: ${why}`)
  }
}

const worst = (all: readonly Done[]): Done =>
  all.includes('made') ? 'made' : all.includes('changed') ? 'changed' : 'kept'
