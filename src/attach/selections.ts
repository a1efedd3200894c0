/** Which networks a pod asks for: both annotation dialects, and the one that replaces its first network. Pure. */
import type {Dialect, Selected, SelectionProblem} from '../model/attachment.ts'
import {Fault} from '../model/fields.ts'
import {type ListWords, listIn, mustNotBeLong, notTooMany} from '../model/json-list.ts'
import {type Element, faulty, type Place, readElement, readShort} from './element.ts'
import {hashName} from './names.ts'

/** The pod's annotation of each dialect. */
export const ANNOTATIONS: Readonly<Record<Dialect, string>> = {
  npwg: 'k8s.v1.cni.cncf.io/networks',
  kaloom: 'networks',
}

/** Names what takes the place of a pod's first network. */
export const DEFAULT_NETWORK_ANNOTATION = 'v1.multus-cni.io/default-network'

export interface ParsedSelections {
  /** NPWG's in their order, then kaloom's in theirs. */
  readonly selected: readonly Selected[]
  readonly problems: readonly SelectionProblem[]
}

const WORDS: ListWords = {items: 'networks', deed: 'are attached to a pod', example: '[{"name": "green"}]'}

/** Never throws. */
export function parseSelections(annotations: Readonly<Record<string, string>>, podNamespace: string): ParsedSelections {
  const read = (dialect: Dialect) => readAnnotation(annotations[ANNOTATIONS[dialect]] ?? '', dialect, podNamespace)
  const elements = withoutCollisions(withOnePrimary(withoutRepeats(read('npwg'), read('kaloom'))))
  return {
    selected: elements.flatMap(({at, selection}) => (selection ? [{at, selection}] : [])),
    problems: elements.flatMap(({problem}) => problem ?? []),
  }
}

/**
 * Of {@link DEFAULT_NETWORK_ANNOTATION}: `[<namespace>/]<name>`, or a JSON list of one element. Never throws. Undefined: it
 * is empty. What is selected is primary.
 */
export function parseDefaultNetwork(value: string, podNamespace: string): Selected | SelectionProblem | undefined {
  const at = DEFAULT_NETWORK_ANNOTATION
  const elements = readList(value, {dialect: 'npwg', at, podNamespace, first: true})
  if (elements.length > 1) {
    const {message} = new Fault(at, `names ${elements.length} networks; a pod has one first network: leave one`)
    return {at, message}
  }
  return elements.map(({at, selection, problem}) => problem ?? {at, selection: selection!})[0]
}

const readAnnotation = (text: string, dialect: Dialect, podNamespace: string): readonly Element[] =>
  readList(text, {dialect, at: ANNOTATIONS[dialect], podNamespace})

/** `place`: that of the whole annotation. */
function readList(text: string, place: Place): readonly Element[] {
  const {dialect, at} = place
  if (text.trim() === '') return []
  const each = (i: number): Place => ({...place, at: `${at}[${i}]`})
  try {
    mustNotBeLong(text, at, WORDS)
    // As the standard tells them apart.
    if (dialect === 'npwg' && !/[[{"]/.test(text))
      return notTooMany(text.split(','), at, WORDS).map((part, i) => readShort(part, each(i)))
    return listIn(text, at, WORDS).map((value, i) => readElement(value, each(i)))
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault
    return [faulty({dialect, at}, fault)]
  }
}

/**
 * The n-th time that both name a network they mean one attachment, and NPWG's element counts, be it faulty: what stands of
 * it is not to be attached a second time under another name.
 */
function withoutRepeats(npwg: readonly Element[], kaloom: readonly Element[]): readonly Element[] {
  const named = new Map<string, number>()
  for (const {means} of npwg) if (means) named.set(keyOf(means), (named.get(keyOf(means)) ?? 0) + 1)
  const further = kaloom.filter(({means, problem}) => {
    const left = means ? (named.get(keyOf(means)) ?? 0) : 0
    if (left > 0) named.set(keyOf(means!), left - 1)
    return left === 0 || problem
  })
  return [...npwg, ...further]
}

const keyOf = ({namespace, name}: {readonly namespace: string; readonly name: string}): string => `${namespace}/${name}`

/** Of several primaries none can be told to be the one that is meant. */
function withOnePrimary(elements: readonly Element[]): readonly Element[] {
  const [one, another] = elements.filter(({selection}) => selection?.primary)
  if (!one || !another) return elements
  return elements.map(element => {
    if (!element.selection?.primary) return element
    const rival = element === one ? another : one
    const what = `is true, and so is that of ${rival.at}; leave it at the one that is to be the pod's first network`
    return faulty(element, new Fault(`${element.at}.isPrimary`, what))
  })
}

/** Kaloom's interface is named after the network's name alone. A primary's is not. */
function withoutCollisions(elements: readonly Element[]): readonly Element[] {
  const first = new Map<string, Element>()
  return elements.map(element => {
    const {dialect, means, selection} = element
    if (dialect !== 'kaloom' || !means || selection?.primary) return element
    const before = first.get(means.name)
    if (!before) first.set(means.name, element)
    if (!before || !selection) return element
    const what = `is that of ${before.at} again, and both would be the interface ${hashName(means.name)}; remove one, or name it in ${ANNOTATIONS.npwg}`
    return faulty(element, new Fault(`${element.at}.name`, what))
  })
}
