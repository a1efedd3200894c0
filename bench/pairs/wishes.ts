/** Which pods are to be paired, and what each of them says. Pure. */

/** Numbers of pods. */
export type Pairing = readonly [number, number]

export interface End {
  /** Its number. */
  readonly pod: number
  readonly interface: string
}

export interface Wishes {
  /** The annotation of each pod; '': none. */
  readonly annotations: readonly string[]
  readonly ends: readonly End[]
}

/** Both pods declare each pair: with the same interface, and two addresses of a subnet of its own. */
export function wishesOf(names: readonly string[], pairings: readonly Pairing[]): Wishes {
  const said = names.map((): object[] => [])
  const ends: End[] = []
  for (const [n, [a, b]] of pairings.entries()) {
    const ifname = `p${n}`
    const subnet = n * 4
    const ip = (host: number) => `10.${96 + (subnet >> 16)}.${(subnet >> 8) & 255}.${(subnet & 255) + host}/30`
    for (const [pod, peer, host] of [
      [a, b, 1],
      [b, a, 2],
    ] as const) {
      said[pod]!.push({peer: names[peer], interface: ifname, peerInterface: ifname, ips: [ip(host)]})
      ends.push({pod, interface: ifname})
    }
  }
  return {annotations: said.map(list => (list.length === 0 ? '' : JSON.stringify(list))), ends}
}

/** Of neighbours at odd distances, at most ten of them: a pod with an even number is paired with odd ones only. */
export function rings(pods: number): Pairing[] {
  const distances = Array.from({length: 10}, (_, i) => 2 * i + 1).filter(distance => distance < pods / 2)
  return distances.flatMap(distance => Array.from({length: pods}, (_, pod): Pairing => [pod, (pod + distance) % pods]))
}

/** Each of the first so many with each of the others. */
export const between = (some: number, others: number): Pairing[] =>
  Array.from({length: some}, (_, a) => Array.from({length: others}, (_, b): Pairing => [a, some + b])).flat()
