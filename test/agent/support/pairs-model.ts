/**
 * What must be at rest, told as lines of text, from nothing but which pods there are and what they say: written without
 * regard to how the agent comes to it.
 */
import {NODES, type Node, PODS, type Says, SLOTS, type Slot} from './pairs-ops.ts'

/** The least that the model has to know of a pod. */
export interface ModelPod {
  readonly uid: string
  readonly node: Node
  /** Container id. */
  readonly sandbox?: string | undefined
  readonly says: readonly Says[]
}

/** By index. */
export type ModelPods = ReadonlyMap<number, ModelPod>

export interface Expected {
  readonly lines: readonly string[]
  /** Beginnings of lines that may be there, each once. */
  readonly perhaps: readonly string[]
  /** Of what must be up, with addresses of one subnet: the first one's pod, and the address of the second one. */
  readonly pings: readonly {readonly from: number; readonly to: string}[]
}

/** Bytes. What a tunnel over IPv4 leaves of 1500. */
const TUNNEL_MTU = 1450

const podKey = (index: number): string => `default/${PODS[index]}`

const nameOf = ({n}: Slot, choice: number): string => `l${n}x${choice}`

/** The annotation's element. `index`: of the pod that says it. */
export function elementOf(index: number, says: Says): object {
  const slot = SLOTS[says.slot]!
  const {ends, name} = slot
  const side = ends[0] === index ? 0 : 1
  return {
    peer: PODS[ends[1 - side]!],
    interface: nameOf(slot, says.interface),
    ...(name !== undefined && {name}),
    ...(says.peerInterface !== null && {peerInterface: nameOf(slot, says.peerInterface)}),
    ...(says.ips !== null && {ips: ipsOf(slot, side, says)}),
    ...(says.mtu !== null && {mtu: says.mtu}),
  }
}

/** The second choice has both families. */
function ipsOf({n}: Slot, side: number, {ips}: Says): string[] {
  if (ips === null) return []
  const v4 = `10.${50 + n}.${ips}.${side + 1}/24`
  return ips === 1 ? [v4, `fd00:50:${n + 1}::${side + 1}/64`] : [v4]
}

interface ModelPair {
  readonly slot: Slot
  readonly key: string
  readonly interfaces: readonly [string, string]
  readonly ips: readonly [readonly string[], readonly string[]]
  readonly mtu: number
}

/** What the two ends come to. Undefined: nobody says anything. */
function judge(
  slot: Slot,
  says: readonly [Says | undefined, Says | undefined],
): ModelPair | 'contradiction' | undefined {
  const [a, b] = says
  if (!a && !b) return undefined
  if (a && b) {
    const isOther = (interfaceOf: Says, {peerInterface}: Says) =>
      peerInterface !== null && peerInterface !== interfaceOf.interface
    if (isOther(a, b) || isOther(b, a)) return 'contradiction'
    if (a.mtu !== null && b.mtu !== null && a.mtu !== b.mtu) return 'contradiction'
  }
  const interfaces = [
    nameOf(slot, a?.interface ?? b!.peerInterface ?? b!.interface),
    nameOf(slot, b?.interface ?? a!.peerInterface ?? a!.interface),
  ] as const
  return {
    slot,
    interfaces,
    key: `default/${PODS[slot.ends[0]]}.${interfaces[0]}.${PODS[slot.ends[1]]}.${interfaces[1]}`,
    ips: [a ? ipsOf(slot, 0, a) : [], b ? ipsOf(slot, 1, b) : []],
    mtu: Math.min(a?.mtu ?? b?.mtu ?? TUNNEL_MTU, TUNNEL_MTU),
  }
}

/** `sandboxes`: how many of them are on each node, those included that nobody wants any more. */
export function expected(pods: ModelPods, sandboxes: ReadonlyMap<Node, number>): Expected {
  const lines: string[] = []
  const perhaps: string[] = []
  const pings: {from: number; to: string}[] = []
  const concerned = new Set([...pods].flatMap(([index, {says}]) => (says.length > 0 ? [index] : [])))

  for (const slot of SLOTS) {
    const ends = slot.ends.map(index => pods.get(index))
    const says = ends.map(end => end?.says.find(each => each.slot === slot.n)) as [Says | undefined, Says | undefined]
    const pair = judge(slot, says)
    if (!pair) continue
    if (pair === 'contradiction') {
      for (const side of [0, 1])
        lines.push(`status ${PODS[slot.ends[side]!]} ${nameOf(slot, says[side]!.interface)} contradiction`)
      continue
    }
    for (const [side, end] of ends.entries()) if (end) concerned.add(slot.ends[side]!)
    lines.push(...linesOf(pair, ends))
    if (ends[0] && ends[1]) {
      if (ends[0].node !== ends[1].node) lines.push(`vni ${pair.key}`)
      const [from, to] = pair.ips
      const isUp = ends.every(end => end?.sandbox !== undefined)
      if (isUp && from[0] && to[0] && subnetOf(from[0]) === subnetOf(to[0]))
        pings.push({from: slot.ends[0], to: to.at(-1)!.split('/')[0]!})
      // While one of two is only not ready, the other one keeps what it had.
      if (!isUp)
        for (const [side, end] of ends.entries())
          if (end!.sandbox !== undefined) perhaps.push(`link ${end!.sandbox} ${pair.interfaces[side]} `)
    } else perhaps.push(`vni ${pair.key}`)
  }
  for (const index of concerned) {
    const {node, uid, sandbox = 'none'} = pods.get(index)!
    lines.push(`told ${podKey(index)} on ${node} uid ${uid} sandbox ${sandbox}`)
  }
  for (const node of NODES) lines.push(`node ${node} sandboxes ${sandboxes.get(node) ?? 0}`)
  return {lines: lines.sort(), perhaps, pings}
}

const subnetOf = (ip: string): string => ip.slice(0, ip.lastIndexOf('.'))

/** Of the pods that there are, and the pair's object. */
function linesOf({slot, key, interfaces, ips, mtu}: ModelPair, ends: readonly (ModelPod | undefined)[]): string[] {
  const lines: string[] = []
  const [one, other] = ends
  const isAcross = one?.node !== other?.node
  const kind = isAcross ? 'vxlan' : 'veth'
  const waits = !one || !other ? 'peer' : ends.some(end => end!.sandbox === undefined) ? 'sandbox' : undefined
  const state = waits === undefined ? `up ${kind} ${mtu}` : `waiting ${waits}`
  for (const [side, end] of ends.entries()) {
    if (!end) continue
    const name = PODS[slot.ends[side]!]
    const peer = `${podKey(slot.ends[1 - side]!)}:${interfaces[1 - side]}`
    lines.push(`status ${name} ${interfaces[side]} ${state} ${peer} ${key}`)
    if (waits !== undefined) continue
    const addresses = ips[side]!.toSorted().join(',')
    const to = isAcross ? ` to 192.168.0.${NODES.indexOf(ends[1 - side]!.node) + 1}` : ''
    lines.push(`link ${end.sandbox} ${interfaces[side]} ${kind}${to} up mtu ${mtu} [${addresses}] netgraft:pair:${key}`)
  }
  const writer = (one ?? other)!.node
  lines.push(`pair ${key} by ${writer} ${waits === undefined ? `up ${kind}` : 'waiting'}`)
  return lines
}
