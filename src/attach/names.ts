/** Names of a pod's further interfaces: an attachment that stands keeps its own for as long as it lives. Pure. */
import type {Selected, Selection, SelectionProblem} from '../model/attachment.ts'
import {Fault} from '../model/fields.ts'
import {md5} from './md5.ts'

/** Of a network that kaloom's annotation names. Its namespace does not matter. */
export const hashName = (name: string): string => `net${md5(name).slice(0, 12)}`

/** An interface that there is. */
export interface Standing {
  readonly ifname: string
  /** What it was attached for. Undefined: it is not of an annotation's making. */
  readonly selection?: Selection
}

export interface NameOptions {
  /** Further names that are not to be had, unless the attachment has that name already. */
  readonly taken?: ReadonlySet<string>
}

export interface Names {
  /** In the order in which they were given. */
  readonly named: readonly {readonly selected: Selected; readonly ifname: string}[]
  readonly problems: readonly SelectionProblem[]
}

/**
 * Names all but the primary, which has the runtime's. Who has its name already comes before who wants it, whatever the
 * order: what works is not taken down for what another element says.
 */
export function assignNames(
  selected: readonly Selected[],
  standing: readonly Standing[],
  {taken = new Set()}: NameOptions = {},
): Names {
  const wanted = selected.filter(({selection}) => !selection.primary)
  const fixed = wanted.map(({selection}) => fixedName(selection))
  const holders = new Map<string, number>()
  const names: (string | undefined)[] = wanted.map(() => undefined)
  const give = (i: number, name: string) => {
    names[i] = name
    holders.set(name, i)
  }

  const owners = new Map(standing.map(({ifname, selection}) => [ifname, selection && keyOf(selection)]))
  fixed.forEach((name, i) => {
    if (name !== undefined && owners.get(name) === keyOf(wanted[i]!.selection) && !holders.has(name)) give(i, name)
  })
  const free = standing.filter(({ifname}) => !holders.has(ifname))
  for (const [i, name] of keptNames(wanted, fixed, free)) give(i, name)

  const problems: SelectionProblem[] = []
  const stays = new Set([...taken, ...standing.filter(isLeftAlone).map(({ifname}) => ifname)])
  fixed.forEach((name, i) => {
    if (name === undefined || names[i] !== undefined) return
    const holder = holders.get(name)
    if (holder === undefined && !stays.has(name)) give(i, name)
    else problems.push(conflict(wanted[i]!, name, holder === undefined ? undefined : wanted[holder]))
  })

  const used = new Set([...taken, ...owners.keys(), ...holders.keys(), ...fixed])
  let number = 1
  const next = (): string => {
    while (used.has(`net${number}`)) number++
    return `net${number++}`
  }
  const named = wanted.flatMap((each, i) => {
    const ifname = names[i] ?? (fixed[i] === undefined ? next() : undefined)
    return ifname === undefined ? [] : [{selected: each, ifname}]
  })
  return {named, problems}
}

const fixedName = ({interface: ifname, dialect, name}: Selection): string | undefined =>
  ifname ?? (dialect === 'kaloom' ? hashName(name) : undefined)

/** Of one whose name was not written, the names that stand for it: that of the very same selection, else the next one. */
function keptNames(
  wanted: readonly Selected[],
  fixed: readonly (string | undefined)[],
  standing: readonly Standing[],
): ReadonlyMap<number, string> {
  const kept = new Map<number, string>()
  const given = new Set<string>()
  const hand = (kindOf: (selection: Selection) => string) => {
    const pool = new Map<string, string[]>()
    for (const {ifname, selection} of standing.toReversed()) {
      if (!selection || selection.primary || selection.interface !== undefined || given.has(ifname)) continue
      const kind = kindOf(selection)
      const names = pool.get(kind)
      if (names) names.push(ifname)
      else pool.set(kind, [ifname])
    }
    wanted.forEach(({selection}, i) => {
      if (fixed[i] !== undefined || kept.has(i)) return
      const ifname = pool.get(kindOf(selection))?.pop()
      if (ifname === undefined) return
      kept.set(i, ifname)
      given.add(ifname)
    })
  }
  hand(selection => selection.dialect + essence(selection))
  hand(essence)
  hand(keyOf)
  return kept
}

/** All that is asked of the network itself: neither who asks, nor when. */
const essence = ({dialect, optional, startOnly, ...rest}: Selection): string => JSON.stringify(rest)

const keyOf = ({namespace, name}: Selection): string => `${namespace}/${name}`

/** Whatever the annotations say now, it keeps its name until the pod ends. */
const isLeftAlone = ({selection}: Standing): boolean =>
  !selection || selection.primary === true || selection.startOnly === true

/** `holder`: the element that has the name. Undefined: nobody's who could be told. */
function conflict({at, selection}: Selected, ifname: string, holder: Selected | undefined): SelectionProblem {
  const {namespace, name, interface: written} = selection
  const whose = holder ? `which is the interface of ${holder.at}` : 'which the pod has already for something else'
  const fault =
    written === undefined
      ? new Fault(`${at}.name`, `would be the interface ${ifname}, ${whose}; remove one of the two`)
      : new Fault(`${at}.interface`, `is "${ifname}", ${whose}; choose another name, or leave it away`)
  return {at: fault.at, message: fault.message, means: {namespace, name}}
}
