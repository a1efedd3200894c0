/** Who reaches whom: Debian's ping, run inside the pods' namespaces. */
import type {Family, Ip} from '../model/ip.ts'
import {mapLimited} from './limit.ts'
import type {LabPod} from './pods.ts'
import type {Run} from './run.ts'

export interface Ping {
  readonly from: LabPod
  readonly to: LabPod
  readonly family: Family
  /** Undefined: the pod has none of that family. */
  readonly address: Ip | undefined
}

export interface PingResult extends Ping {
  /** Milliseconds, the round trip. Undefined: no answer within a second. */
  readonly ms: number | undefined
}

export const pingKey = ({from, to, family}: Pick<Ping, 'from' | 'to' | 'family'>): string =>
  `${from.netns} ${to.netns} ${family}`

/** More pairs than this in one family are thinned out: one pod of each node with one pod of each other node. */
const ALL_PAIRS_UP_TO = 1000
const PODS_AT_ONCE = 4

export function pairsOf(pods: readonly LabPod[], families: readonly Family[]): Ping[] {
  const all = pods.length * (pods.length - 1) <= ALL_PAIRS_UP_TO
  const chosen = all ? pods : pods.filter((pod, i) => pods[i - 1]?.node !== pod.node)
  return chosen.flatMap(from =>
    chosen.flatMap(to =>
      from === to
        ? []
        : families.map(family => ({from, to, family, address: to.addresses.find(ip => ip.family === family)})),
    ),
  )
}

/** Asks each once; tells the results as they come. Those that are left when the signal aborts are left out. */
export async function pingEach(
  run: Run,
  pings: readonly Ping[],
  signal: AbortSignal,
  tell: (result: PingResult) => void,
): Promise<PingResult[]> {
  const groups = [...Map.groupBy(pings, ({from}) => from.netns)]
  const results = await mapLimited(groups, PODS_AT_ONCE, async ([, group]) => {
    if (signal.aborted) return []
    const answers = await pingFrom(run, group[0]!.from, group)
    if (signal.aborted) return []
    const told = group.map(ping => ({...ping, ms: answers.get(`${ping.address}`)}))
    for (const result of told) tell(result)
    return told
  })
  return results.flat()
}

/** All of a pod's at the same time, in one process of ours. Milliseconds by address. */
export async function pingFrom(
  run: Run,
  from: LabPod,
  pings: readonly Pick<Ping, 'address'>[],
): Promise<Map<string, number>> {
  const script = 'for address; do ping -n -c 1 -W 1 "$address" & done; wait'
  const args = ['-c', script, 'sh', ...pings.flatMap(({address}) => (address ? `${address}` : []))]
  const output = await run.exec('sh', args, {netns: from.netns}).catch(() => '')
  return new Map(
    [...output.matchAll(/^\d+ bytes from (\S+): .*time=([\d.]+) ms$/gm)].map(match => [match[1]!, Number(match[2])]),
  )
}
