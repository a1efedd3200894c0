/** What may happen to pairs of pods in their life: operations as plain values, and random sequences of them. */
import fc from 'fast-check'

/** Names are few, so that they are used again. By index. */
export const PODS = ['p0', 'p1', 'p2', 'p3'] as const
export const NODES = ['a', 'b', 'c'] as const

export type Node = (typeof NODES)[number]

/** A pair that two pods may have: between the first and the second of two indices. */
export interface Slot {
  readonly ends: readonly [number, number]
  /** Where two pods may have several: each has a name. */
  readonly name?: string
  /** Its number: part of interface names and addresses. */
  readonly n: number
}

/** Pods of an even distance may have two. */
export const SLOTS: readonly Slot[] = PODS.flatMap((_, i) =>
  PODS.flatMap((_, j): Omit<Slot, 'n'>[] => {
    if (i >= j) return []
    const ends = [i, j] as const
    return (j - i) % 2 === 1 ? [{ends}] : [0, 1].map(k => ({ends, name: `s${i}${j}${k}`}))
  }),
).map((slot, n) => ({...slot, n}))

/** What a pod says of a slot. Numbers choose among what there is to be chosen. */
export interface Says {
  /** Of {@link SLOTS}. */
  readonly slot: number
  readonly interface: number
  readonly peerInterface: number | null
  readonly ips: number | null
  /** Bytes. */
  readonly mtu: number | null
}

/**
 * object first, DEL first: the order in which the object and the sandbox go. no DEL: the namespace vanishes, and DEL comes
 * at the end. late DEL: the namespace is there until then.
 */
export type Leaving = 'object first' | 'DEL first' | 'no DEL' | 'late DEL'

export type Op =
  | {readonly do: 'start'; readonly pod: number; readonly node: Node; readonly says: readonly Says[]}
  /** The object without a sandbox; the next start of its name gives it one. */
  | {readonly do: 'declare'; readonly pod: number; readonly node: Node; readonly says: readonly Says[]}
  | {readonly do: 'stop'; readonly pod: number; readonly how: Leaving}
  | {readonly do: 'stop both'; readonly pods: readonly [number, number]; readonly how: Leaving}
  /** Another sandbox for the same object. */
  | {readonly do: 'restart'; readonly pod: number; readonly how: Leaving}
  /** Another object of the same name. */
  | {readonly do: 'move'; readonly pod: number; readonly node: Node; readonly how: Leaving}
  /** At once, one after the other. */
  | {readonly do: 'edit'; readonly pod: number; readonly says: readonly (readonly Says[])[]}
  | {readonly do: 'delete link'; readonly pod: number; readonly nth: number}
  | {readonly do: 'end agent'; readonly node: Node; readonly signal: 'SIGKILL' | 'SIGTERM'; readonly ms: number}
  | {readonly do: 'API server'; readonly is: 'down' | 'up'}
  | {readonly do: 'watches'; readonly are: 'cut' | 'compacted' | 'gone' | 'failing' | 'truncated'}
  | {readonly do: 'delete document'; readonly of: 'pairpods' | 'vnis'; readonly nth: number}
  | {readonly do: 'wait'; readonly ms: number}
  | {readonly do: 'check'}

const pod = fc.nat({max: PODS.length - 1})
const node = fc.constantFrom(...NODES)
const how = fc.constantFrom<Leaving>('object first', 'DEL first', 'no DEL', 'late DEL')

/** One of the first, more often than the others. */
const mostly = <T>(first: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({weight: 5, arbitrary: fc.constant(first)}, {weight: 2, arbitrary: fc.constantFrom(...others)})

const saysOf = (index: number): fc.Arbitrary<readonly Says[]> =>
  fc
    .tuple(
      ...SLOTS.filter(({ends}) => ends.includes(index)).map(({n}) =>
        fc.option(
          fc.record({
            slot: fc.constant(n),
            interface: mostly(0, 1, 2),
            peerInterface: mostly<number | null>(null, 0, 0, 1),
            ips: mostly<number | null>(0, 0, 1, null),
            mtu: mostly<number | null>(null, null, 1300, 1400, 9000),
          }),
          // One in three says nothing.
          {freq: 3},
        ),
      ),
    )
    .map(all => all.filter(each => each !== null))

const one = <T extends object>(more: (pod: number) => fc.Arbitrary<T>): fc.Arbitrary<T & {readonly pod: number}> =>
  pod.chain(index => more(index).map(rest => ({...rest, pod: index})))

const op = <K extends Op['do']>(name: K, rest: object = {}): fc.Arbitrary<Op> =>
  fc.record({do: fc.constant(name), ...rest}) as unknown as fc.Arbitrary<Op>

const startOf = (index: number) =>
  fc.record({do: fc.constant('start'), pod: fc.constant(index), node, says: saysOf(index)})

const starts = fc.shuffledSubarray([...PODS.keys()], {minLength: 2}).chain(all => fc.tuple(...all.map(startOf)))

const OPS: readonly fc.WeightedArbitrary<Op>[] = [
  {weight: 8, arbitrary: pod.chain(startOf) as fc.Arbitrary<Op>},
  {weight: 1, arbitrary: one(index => fc.record({do: fc.constant('declare'), node, says: saysOf(index)}))},
  {weight: 4, arbitrary: op('stop', {pod, how})},
  {weight: 2, arbitrary: op('stop both', {pods: fc.tuple(pod, pod), how})},
  {weight: 3, arbitrary: op('restart', {pod, how})},
  {weight: 5, arbitrary: op('move', {pod, node, how})},
  {
    weight: 6,
    arbitrary: one(index =>
      fc.record({do: fc.constant('edit'), says: fc.array(saysOf(index), {minLength: 1, maxLength: 2})}),
    ),
  },
  {weight: 2, arbitrary: op('delete link', {pod, nth: fc.nat(7)})},
  {
    weight: 2,
    arbitrary: op('end agent', {node, signal: fc.constantFrom('SIGKILL', 'SIGTERM'), ms: fc.constantFrom(0, 50, 300)}),
  },
  {weight: 1, arbitrary: op('API server', {is: fc.constant('down')})},
  {weight: 1, arbitrary: op('API server', {is: fc.constant('up')})},
  {
    weight: 2,
    arbitrary: op('watches', {are: fc.constantFrom('cut', 'compacted', 'gone', 'failing', 'truncated')}),
  },
  {weight: 1, arbitrary: op('delete document', {of: fc.constantFrom('pairpods', 'vnis'), nth: fc.nat(7)})},
  {weight: 3, arbitrary: op('wait', {ms: fc.constantFrom(0, 5, 30, 100, 300)})},
  {weight: 3, arbitrary: op('check')},
]

const sequence: fc.Arbitrary<readonly Op[]> = fc
  .tuple(starts as fc.Arbitrary<Op[]>, fc.array(fc.oneof(...OPS), {minLength: 2, maxLength: 12, size: 'max'}))
  .map(all => all.flat())

/** The same for the same seed. */
export const sequenceOf = (seed: number): readonly Op[] => fc.sample(fc.noBias(sequence), {seed, numRuns: 1})[0]!
