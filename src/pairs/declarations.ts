/** What a pod says of its pairs: in its annotation, and in ratchet's labels. Pure. */
import {Fault, shown} from '../model/fields.ts'
import {type ListWords, listIn} from '../model/json-list.ts'
import type {Declaration, PairProblem} from '../model/pair.ts'
import {interfaceIn, readElement} from './element.ts'
import {isEligible, ratchetNameOf, readLabels} from './labels.ts'

/** A JSON list. */
const PAIRS_ANNOTATION = 'netgraft.dev/pairs'
/** "true": the pod starts when its pairs are up. */
const REQUIRED_ANNOTATION = 'netgraft.dev/pairs-required'

export interface ParsedPairs {
  /** The annotation's in their order, then that of the labels. */
  readonly declarations: readonly Declaration[]
  /** All are malformed. */
  readonly problems: readonly PairProblem[]
  /** The pod's start is to wait for its pairs. */
  readonly required: boolean
  /** The pod has the label `ratchet`. */
  readonly eligible: boolean
  /** As {@link Endpoint.ratchetName}. */
  readonly ratchetName?: string
}

type Texts = Readonly<Record<string, string>>

export interface PodName {
  readonly namespace: string
  readonly name: string
}

/** It has a declaration or a fault. */
interface Element {
  readonly at: string
  readonly interface?: string | undefined
  readonly declaration?: Declaration | undefined
  readonly fault?: Fault
}

const WORDS: ListWords = {
  items: 'pairs',
  deed: 'are built for a pod',
  example: '[{"peer": "b", "interface": "in1"}]',
}

/** Never throws. */
export function parsePairs(annotations: Texts, labels: Texts, pod: PodName): ParsedPairs {
  const required = readRequired(annotations[REQUIRED_ANNOTATION] ?? '')
  const read = [...readAnnotation(annotations[PAIRS_ANNOTATION] ?? '', pod), ...readFromLabels(labels, pod)]
  const elements = withoutRepeats(read)
  const faults = [...elements, required].flatMap(({fault, interface: ifname}) =>
    fault ? problemOf(fault, ifname) : [],
  )
  const ratchetName = ratchetNameOf(labels, pod)
  return {
    declarations: elements.flatMap(({declaration, fault}) => (declaration && !fault ? declaration : [])),
    problems: faults,
    required: required.value,
    eligible: isEligible(labels),
    ...(ratchetName !== undefined && {ratchetName}),
  }
}

const AS_IT_WAS = ' (as it was)'

/**
 * What is declared, and of what was declared `before` that which a problem may mean: a slip of the pen takes no pair down
 * that stands. `before`: of the same pod, with the same UID.
 */
export function withStanding(
  {declarations, problems}: ParsedPairs,
  before: readonly Declaration[],
): readonly Declaration[] {
  const taken = new Set(declarations.map(each => each.interface))
  const names = new Set(declarations.map(each => each.name))
  const peers = new Set(declarations.map(peerEnd))
  const kept = before.filter(
    ({interface: ifname, name, peer, peerInterface}) =>
      problems.some(each => each.at !== REQUIRED_ANNOTATION && (each.interface ?? ifname) === ifname) &&
      !taken.has(ifname) &&
      (name === undefined || !names.has(name)) &&
      (peerInterface === undefined || !peers.has(peerEnd({peer, peerInterface}))),
  )
  return [...declarations, ...kept.map(each => ({...each, at: each.at.replace(AS_IT_WAS, '') + AS_IT_WAS}))]
}

const peerEnd = ({peer, peerInterface}: Pick<Declaration, 'peer' | 'peerInterface'>): string =>
  `${peer}:${peerInterface ?? ''}`

const problemOf = ({at, message}: Fault, ifname: string | undefined): PairProblem => ({
  kind: 'malformed',
  at,
  message,
  ...(ifname !== undefined && {interface: ifname}),
})

function readAnnotation(text: string, pod: PodName): readonly Element[] {
  if (text.trim() === '') return []
  const at = PAIRS_ANNOTATION
  try {
    return listIn(text, at, WORDS).map((value, i) =>
      tried(`${at}[${i}]`, interfaceIn(value, at), () => readElement(value, `${at}[${i}]`, pod)),
    )
  } catch (fault) {
    if (fault instanceof Fault) return [{at, fault}]
    throw fault
  }
}

function readFromLabels(labels: Texts, pod: PodName): readonly Element[] {
  const element = tried('ratchet.pair_name', interfaceIn({interface: labels['ratchet.local_ifname']}, ''), () =>
    readLabels(labels, pod),
  )
  return element.declaration || element.fault ? [element] : []
}

function tried(at: string, ifname: string | undefined, read: () => Declaration | undefined): Element {
  try {
    return {at, interface: ifname, declaration: read()}
  } catch (fault) {
    if (fault instanceof Fault) return {at, interface: ifname, fault}
    throw fault
  }
}

/** What two elements of a pod must not both have. The first one has it, be it faulty: what stands of it stays. */
function withoutRepeats(elements: readonly Element[]): readonly Element[] {
  const first = new Map<string, string>()
  return elements.map(element => {
    const {at, declaration} = element
    const {name, peer, interface: ifname = element.interface, peerInterface} = declaration ?? {}
    const keys = [
      ['interface', ifname],
      ['name', name],
      ['peerInterface', peerInterface === undefined ? undefined : `${peerInterface} of ${peer}`],
    ] as const
    const clash = keys.find(([key, value]) => value !== undefined && first.has(`${key} ${value}`))
    if (clash && declaration) {
      const [key, value] = clash
      const what = `is ${shown(value)}, and so is that of ${first.get(`${key} ${value}`)}; write another one`
      const fault =
        declaration.by === 'labels'
          ? new Fault(key === 'interface' ? 'ratchet.local_ifname' : 'ratchet.pair_ifname', what, 'label')
          : new Fault(`${at}.${key}`, what)
      return {...element, fault}
    }
    for (const [key, value] of keys)
      if (value !== undefined && !first.has(`${key} ${value}`)) first.set(`${key} ${value}`, at)
    return element
  })
}

function readRequired(text: string): {readonly value: boolean; readonly fault?: Fault; readonly interface?: undefined} {
  if (text === 'true' || text === 'false' || text.trim() === '') return {value: text === 'true'}
  const fault = new Fault(REQUIRED_ANNOTATION, `is ${shown(text)}; write "true" or "false"`)
  // Whoever writes something there does not want the pod to run without.
  return {value: true, fault}
}
