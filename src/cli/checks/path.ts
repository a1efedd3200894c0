/** Whether packets of full size get to the other nodes: tried with echo requests that are never cut into fragments. */
import type {Ip} from '../../model/ip.ts'
import {echo} from '../../netlink/echo.ts'
import {type Check, failed, ok, skipped, warning} from './check.ts'
import type {Peer} from './peers.ts'

/** Peers that are tried unless all are asked for, and how many at once. */
export const SAMPLE = 16
const AT_ONCE = 16
/** Failures, and warnings, that are told one by one. */
const MANY = SAMPLE
/** Bytes: any path takes them. */
const SMALL = {4: 68, 6: 128} as const
/** Sizes of one round of the search, and how long it waits for their answers. */
const SEARCH = {sizes: 16, tries: 3, patienceMs: 300} as const

/** What was found of one of them. */
export interface PathFacts {
  readonly peer: Peer
  /** Bytes: the largest packet of which an echo came back, {@link Peer.needs} at most. Undefined: of none. */
  readonly takes: number | undefined
  /** Of a tunnel's inside: full packets come back, small ones alone, or none. */
  readonly inside?: 'full' | 'small' | 'none'
}

/** `all`: no sample. The oldest come first. */
export async function checkPaths(peers: readonly Peer[], all: boolean): Promise<Check[]> {
  const tried = all ? peers : peers.slice(0, SAMPLE)
  const found: PathFacts[] = []
  const queue = tried.values()
  const work = async (): Promise<void> => {
    for (const peer of queue) found.push(await tryPath(peer))
  }
  try {
    await Promise.all(Array.from({length: AT_ONCE}, work))
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException
    if (code === 'EPERM' || code === 'EACCES')
      return [skipped('path MTU', 'it takes raw sockets to try it; run this as root (CAP_NET_RAW)')]
    return [skipped('path MTU', `it cannot be tried: ${message}`)]
  }
  return judgePaths(
    found.sort((a, b) => tried.indexOf(a.peer) - tried.indexOf(b.peer)),
    peers.length,
  )
}

async function tryPath(peer: Peer): Promise<PathFacts> {
  const {address, needs, tunnel} = peer
  const [takes, inside] = await Promise.all([
    largest(address, needs),
    tunnel && echo(tunnel.inside, [tunnel.mtu, SMALL[tunnel.inside.family]]).catch(unreachable),
  ])
  if (!tunnel || !inside) return {peer, takes}
  return {peer, takes, inside: inside.has(tunnel.mtu) ? 'full' : inside.size > 0 ? 'small' : 'none'}
}

/** The largest size up to `needs` of which an echo comes back. */
async function largest(address: Ip, needs: number): Promise<number | undefined> {
  const small = SMALL[address.family]
  const first = await echo(address, [needs, small]).catch(unreachable)
  if (first.has(needs)) return needs
  if (!first.has(small)) return undefined
  let [takes, tooLarge]: [number, number] = [small, needs]
  while (tooLarge - takes > 1) {
    const step = Math.max(1, Math.floor((tooLarge - takes) / (SEARCH.sizes + 1)))
    const sizes: number[] = []
    for (let size = takes + step; size < tooLarge && sizes.length < SEARCH.sizes; size += step) sizes.push(size)
    const answered = await echo(address, sizes, SEARCH)
    const best = sizes.findLast(size => answered.has(size))
    tooLarge = sizes.find(size => size > (best ?? takes)) ?? tooLarge
    takes = best ?? takes
  }
  return takes
}

/** No way leads there, which is no answer either. What cannot be tried at all is told. */
function unreachable(error: NodeJS.ErrnoException): ReadonlySet<number> {
  if (error.code === 'ENETUNREACH' || error.code === 'EHOSTUNREACH' || error.code === 'EADDRNOTAVAIL') return new Set()
  throw error
}

/** `peers`: how many there are, tried or not. */
export function judgePaths(found: readonly PathFacts[], peers: number): Check[] {
  if (found.length === 0) return []
  const bad = found.flatMap(judgePath)
  const good = found.filter(facts => judgePath(facts).length === 0)
  const sizes = [...new Set(good.map(({peer}) => peer.needs))].sort((a, b) => b - a)
  const sample =
    found.length < peers ? `; there are ${peers}, of which these are the oldest nodes': --all-peers tries all` : ''
  const summary =
    good.length === 0
      ? []
      : [
          ok(
            'path MTU',
            `packets of full size (${sizes.join(' and ')} bytes) get to ${good.length} of ${found.length} addresses of other nodes${sample}`,
          ),
        ]
  const some = (state: Check['state']): Check[] => {
    const list = bad.filter(each => each.state === state)
    const rest = list.length - MANY
    const more = {name: 'path MTU', state, says: `${rest} more nodes have such a trouble`}
    return rest > 0 ? [...list.slice(0, MANY), more] : list
  }
  return [...summary, ...some('failed'), ...some('warning')]
}

/** Nothing: it is well. */
export function judgePath({peer, takes, inside}: PathFacts): Check[] {
  const {address, node, needs, tunnel, key, overhead} = peer
  const whose = node === undefined ? `${address}` : `node ${node} (${address})`
  const name = `path to ${node ?? address}`
  if (tunnel && inside === 'none')
    return takes === undefined
      ? [warning(name, `${whose} answers no echo request, nor does its end of ${tunnel.device}: ${DOWN}`)]
      : [
          failed(
            name,
            `${whose} answers, and nothing comes back through tunnel ${tunnel.device}: let UDP ${tunnel.port} through between the nodes, and look whether its agent runs`,
          ),
        ]
  if (takes === undefined) {
    if (!tunnel || inside === undefined) return [warning(name, `${whose} answers no echo request: ${DOWN}`)]
    const says = `packets of ${tunnel.mtu} bytes do not come back through tunnel ${tunnel.device} from ${whose}, and small ones do: lower ${key} on all nodes, or raise the MTU on the way`
    return inside === 'full' ? [] : [failed(name, says)]
  }
  if (takes < needs) {
    const who = tunnel || overhead > 0 ? 'tunnels' : 'pods'
    const fate =
      inside === 'full'
        ? 'what is larger arrives in fragments, slowly'
        : inside === undefined && address.family === 4
          ? 'what is larger is lost unless a router may cut it into fragments'
          : 'what is larger is lost'
    const says = `${whose} takes ${takes} bytes at most, and ${who} need ${needs}: ${fate}; set ${key} to ${takes - overhead} on all nodes, or raise the MTU on the way`
    return [inside === 'full' ? warning(name, says) : failed(name, says)]
  }
  return inside === 'small'
    ? [
        warning(
          name,
          `${whose} takes packets of ${needs} bytes, and those of ${tunnel!.mtu} bytes do not come back through tunnel ${tunnel!.device}: look at the MTU of its ${tunnel!.device}`,
        ),
      ]
    : []
}

const DOWN = 'it is down, or a firewall drops them, and whether large packets get there cannot be told'
