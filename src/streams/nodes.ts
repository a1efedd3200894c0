/** Nodes, as the routes see them. */
import {type Observable, ReplaySubject, share} from 'rxjs'
import {InvalidInput} from '../model/errors.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import {type Ip, parseCidr, parseIp} from '../model/ip.ts'
import {formatVtep, parseVtep, VTEP_ANNOTATION, type Vtep} from '../model/vtep.ts'
import type {ListWatchTransport} from './list-watch.ts'
import {type ReflectOptions, reflect} from './reflector.ts'
import type {View} from './view.ts'

export type NodeStreamOptions = Omit<ReflectOptions<NodeFacts, NodeName>, 'what' | 'project' | 'key' | 'equal'>

/** The cluster's nodes, read once for all subscribers, until the last of them leaves. */
export function nodeStream(
  transport: ListWatchTransport,
  options: NodeStreamOptions = {},
): Observable<View<NodeName, NodeFacts>> {
  const projection = {what: 'nodes', project: projectNode, equal: equalNodeFacts}
  return reflect<NodeFacts, NodeName>(transport, {...options, ...projection}).pipe(
    share({connector: () => new ReplaySubject(1)}),
  )
}

/** The same one for the thousands that have none. */
const NONE: readonly never[] = []

/** Total: what is missing is empty; what is not what it should be is left out and told in `problems`. */
export function projectNode(object: unknown): NodeFacts {
  const {metadata, spec, status} = members(object)
  const {name: nodeName, creationTimestamp, annotations} = members(metadata)
  const {podCIDR, podCIDRs} = members(spec)
  const {addresses, nodeInfo} = members(status)
  const {machineID} = members(nodeInfo)
  const name = typeof nodeName === 'string' ? nodeName : ''
  const problems: string[] = []

  const read = <T>(path: string, parse: () => T, otherwise: T): T => {
    try {
      return parse()
    } catch (error) {
      problems.push(`node ${name}: ${path}: ${(error as Error).message}`)
      return otherwise
    }
  }
  const readEach = <T>(path: string, values: unknown, parse: (value: unknown) => T[]): T[] =>
    read(path, () => list(values), []).flatMap((value, index) => read(`${path}[${index}]`, () => parse(value), []))

  return {
    name: name as NodeName,
    machineId: read('status.nodeInfo.machineID', () => text(machineID), ''),
    createdAt: read('metadata.creationTimestamp', () => time(creationTimestamp), 0),
    podCIDRs: readEach('spec.podCIDRs', podCIDRs ?? (podCIDR ? [podCIDR] : []), cidr => [parseCidr(text(cidr))]),
    addresses: readEach('status.addresses', addresses, internalIp),
    vteps: Object.keys(members(annotations))
      .filter(key => key.startsWith(VTEP_ANNOTATION))
      .flatMap(key =>
        read(
          `annotation ${key}`,
          () => [parseVtep(key.slice(VTEP_ANNOTATION.length), text(members(annotations)[key]))],
          [],
        ),
      ),
    problems: problems.length > 0 ? problems : NONE,
  }
}

export function equalNodeFacts(a: NodeFacts, b: NodeFacts): boolean {
  return (
    a.name === b.name &&
    a.machineId === b.machineId &&
    a.createdAt === b.createdAt &&
    sameTexts(a.podCIDRs, b.podCIDRs) &&
    sameTexts(a.addresses, b.addresses) &&
    sameTexts(a.vteps.map(vtepText), b.vteps.map(vtepText)) &&
    sameTexts(a.problems, b.problems)
  )
}

const vtepText = (vtep: Vtep): string => `${vtep.network} ${formatVtep(vtep)}`

function internalIp(value: unknown): Ip[] {
  const {type, address} = members(value)
  return type === 'InternalIP' ? [parseIp(text(address))] : []
}

/** The fields of an object; of anything else none. */
const members = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

function list(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new InvalidInput('is not a list')
  return value
}

function text(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw new InvalidInput(`${JSON.stringify(value)} is not a text`)
  return value
}

/** Milliseconds since the epoch. */
function time(value: unknown): number {
  if (value === undefined || value === null) return 0
  const ms = Date.parse(text(value))
  if (Number.isNaN(ms)) throw new InvalidInput(`${JSON.stringify(value)} is not a time`)
  return ms
}

const sameTexts = (a: readonly object[] | readonly string[], b: readonly object[] | readonly string[]): boolean =>
  a.length === b.length && a.every((value, index) => String(value) === String(b[index]))
