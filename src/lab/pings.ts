/** Who reaches whom: Debian's ping, run inside the pods' namespaces. */
import type {Family, Ip} from '../model/ip.ts'
import {mapLimited} from './limit.ts'
import type {PodPlan} from './plan.ts'
import type {Run} from './run.ts'

export interface Ping {
  readonly from: PodPlan
  readonly to: PodPlan
  readonly family: Family
  readonly address: Ip
}

export interface PingResult extends Ping {
  /** Milliseconds, the round trip. Undefined: no answer within a second. */
  readonly ms: number | undefined
}

export const pingKey = ({from, to, family}: Pick<Ping, 'from' | 'to' | 'family'>): string =>
  `${from.name} ${to.name} ${family}`

/** More pairs than this in one family are thinned out: one pod of each node with one pod of each other node. */
const ALL_PAIRS_UP_TO = 1000
const AT_ONCE = 16

export function pairsOf(pods: readonly PodPlan[]): Ping[] {
  const all = pods.length * (pods.length - 1) <= ALL_PAIRS_UP_TO
  const chosen = all ? pods : pods.filter((pod, i) => pods[i - 1]?.node !== pod.node)
  return chosen.flatMap(from =>
    chosen.flatMap(to =>
      from === to ? [] : to.addresses.map(address => ({from, to, family: address.family, address})),
    ),
  )
}

/** Asks each once; tells each result as it comes. Those that are left when the signal aborts are left out. */
export async function pingEach(
  run: Run,
  pings: readonly Ping[],
  signal: AbortSignal,
  tell: (result: PingResult) => void,
): Promise<PingResult[]> {
  const results = await mapLimited(pings, AT_ONCE, async ping => {
    if (signal.aborted) return
    const ms = await pingOnce(run, ping)
    if (signal.aborted) return
    const result = {...ping, ms}
    tell(result)
    return result
  })
  return results.filter(result => result !== undefined)
}

async function pingOnce(run: Run, {from, address}: Ping): Promise<number | undefined> {
  const args = ['-n', '-c', '1', '-W', '1', `${address}`]
  const output = await run.exec('ping', args, {netns: from.netns}).catch(() => '')
  const ms = /time=([\d.]+) ms/.exec(output)?.[1]
  return ms === undefined ? undefined : Number(ms)
}
