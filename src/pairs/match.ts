/** Which declarations of two pods mean the same pair. Pure. */
import type {Declaration} from '../model/pair.ts'

/** At least one of the two is there. */
export type Match = readonly [one: Declaration | undefined, other: Declaration | undefined]

/**
 * What each of two pods says of pairs with the other one. By name, where both say one; else by interfaces, where one says
 * that of the other end; else the first with the first, and so on. What is left is declared by one end only. Who is `one`
 * makes no difference.
 */
export function matchDeclarations(one: readonly Declaration[], other: readonly Declaration[]): readonly Match[] {
  const left = [new Set(one), new Set(other)] as const
  const matches: Match[] = []
  const marry = (a: Declaration, b: Declaration) => {
    left[0].delete(a)
    left[1].delete(b)
    matches.push([a, b])
  }
  const named = new Map(other.flatMap(each => (each.name === undefined ? [] : [[each.name, each]])))
  for (const a of one) {
    const b = a.name === undefined ? undefined : named.get(a.name)
    if (b) marry(a, b)
  }
  for (const [a, b] of byInterfaces([...left[0]], [...left[1]])) marry(a, b)
  // Of two names that differ each means another pair.
  for (const [isOne, isOther] of [
    [isNameless, isNameless],
    [isNamed, isNameless],
    [isNameless, isNamed],
  ] as const) {
    const others = [...left[1]].filter(isOther)
    for (const [i, a] of [...left[0]].filter(isOne).entries()) if (others[i]) marry(a, others[i])
  }
  return [
    ...matches,
    ...[...left[0]].map(a => [a, undefined] as const),
    ...[...left[1]].map(b => [undefined, b] as const),
  ]
}

function byInterfaces(
  one: readonly Declaration[],
  other: readonly Declaration[],
): readonly (readonly [Declaration, Declaration])[] {
  const byInterface = new Map(other.map(each => [each.interface, each]))
  const byPeer = new Map(other.map(each => [each.peerInterface, each]))
  const taken = new Set<Declaration>()
  return one.flatMap(a => {
    const b = a.peerInterface === undefined ? byPeer.get(a.interface) : byInterface.get(a.peerInterface)
    const agree = b && (b.peerInterface ?? a.interface) === a.interface && (isNameless(a) || isNameless(b))
    if (!agree || taken.has(b)) return []
    taken.add(b)
    return [[a, b] as const]
  })
}

const isNamed = ({name}: Declaration): boolean => name !== undefined

const isNameless = ({name}: Declaration): boolean => name === undefined
