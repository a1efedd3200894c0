/** meta/v1 Table: the rows that kubectl prints. */
import {dig, type Fields, isFields, type KubeObject} from './objects.ts'
import type {Column, Resource} from './resources.ts'

interface TableColumn extends Omit<Column, 'jsonPath'> {
  readonly cell: (object: KubeObject) => unknown
}

/** How much of each object a row carries. The query parameter `includeObject`. */
export type Include = 'None' | 'Metadata' | 'Object'

/** Objects of one resource as a table. `apiVersion` is the requested one. */
export function tableOf(
  columns: readonly TableColumn[],
  objects: readonly KubeObject[],
  metadata: Fields,
  include: Include,
): Fields {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(({name, type, priority, description}) => ({
      name,
      type,
      format: name === 'Name' ? 'name' : '',
      description,
      priority,
    })),
    rows: objects.map(object => ({
      cells: columns.map(column => column.cell(object)),
      ...(include !== 'None' && {object: include === 'Object' ? object : metadataOnly(object)}),
    })),
  }
}

const metadataOnly = (object: KubeObject) => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata: object.metadata,
})

/** A column that only `-o wide` shows has priority 1. */
const column = (name: string, cell: TableColumn['cell'], priority = 0): TableColumn => ({
  name,
  type: 'string',
  priority,
  description: '',
  cell,
})

const NAME = column('Name', object => object.metadata.name)
const AGE = column('Age', object => age(object.metadata.creationTimestamp))

const BUILTIN: Readonly<Record<string, readonly TableColumn[]>> = {
  nodes: [
    NAME,
    column('Status', nodeStatus),
    AGE,
    column(
      'Internal-IP',
      node => joined(itemsOf(node.status?.addresses).map(a => a.type === 'InternalIP' && a.address)),
      1,
    ),
    column('Pod-CIDRs', node => joined(dig(node.spec, 'podCIDRs') ?? [dig(node.spec, 'podCIDR')]), 1),
  ],
  pods: [
    NAME,
    column('Ready', pod => {
      const ready = itemsOf(pod.status?.containerStatuses).filter(status => status.ready === true)
      return `${ready.length}/${itemsOf(pod.spec?.containers).length}`
    }),
    column('Status', pod =>
      pod.metadata.deletionTimestamp ? 'Terminating' : (dig(pod.status, 'reason') ?? dig(pod.status, 'phase')),
    ),
    AGE,
    column('IP', pod => joined(itemsOf(pod.status?.podIPs).map(p => p.ip)), 1),
    column('Node', pod => dig(pod.spec, 'nodeName') ?? '<none>', 1),
  ],
  namespaces: [
    NAME,
    column('Status', ns => (ns.metadata.deletionTimestamp ? 'Terminating' : dig(ns.status, 'phase'))),
    AGE,
  ],
  events: [
    column('Last Seen', event => age(dig(event, 'lastTimestamp') ?? event.metadata.creationTimestamp)),
    column('Type', event => dig(event, 'type')),
    column('Reason', event => dig(event, 'reason')),
    column('Object', event =>
      `${dig(event, 'involvedObject', 'kind')}/${dig(event, 'involvedObject', 'name')}`.toLowerCase(),
    ),
    column('Message', event => dig(event, 'message')),
  ],
  'customresourcedefinitions.apiextensions.k8s.io': [NAME, column('Created At', crd => crd.metadata.creationTimestamp)],
}

export function columnsOf(resource: Resource, version: string): readonly TableColumn[] {
  const printed = resource.versions.find(v => v.name === version)?.columns
  if (!printed) return BUILTIN[resource.id] ?? [NAME, AGE]
  return [NAME, ...printed.map(c => ({...c, cell: customCell(c)}))]
}

function customCell({type, jsonPath}: Column): TableColumn['cell'] {
  const steps = parsePath(jsonPath)
  return object => {
    const found = steps ? walk(object, steps) : []
    if (found.length === 0) return null
    if (type === 'date') return age(found[0])
    if (found.length === 1 && !isFields(found[0]) && !Array.isArray(found[0])) return found[0]
    return found.map(value => (typeof value === 'string' ? value : JSON.stringify(value))).join(',')
  }
}

type Step = string | {readonly all: true} | {readonly path: readonly string[]; readonly equals: string}

const STEP =
  /\.((?:[^.[\]\\]|\\.)+)|\['((?:[^'\\]|\\.)+)'\]|\[(\d+)\]|\[(\*)\]|\[\?\(@\.([\w.-]+)\s*==\s*["']([^"']*)["']\)\]/y

/** The JSONPath that printer columns are written in: fields, `\.` in them, [0], [*], [?(@.type=="Ready")]; undefined for more. */
function parsePath(text: string): Step[] | undefined {
  const steps: Step[] = []
  for (let at = 0; at < text.length; at = STEP.lastIndex) {
    STEP.lastIndex = at
    const found = STEP.exec(text)
    if (!found) return undefined
    const [, field, quoted, index, all, path, equals] = found
    if (all) steps.push({all: true})
    else if (path !== undefined) steps.push({path: path.split('.'), equals: equals!})
    else steps.push((field ?? quoted ?? index)!.replaceAll(/\\(.)/g, '$1'))
  }
  return steps
}

function walk(value: unknown, [step, ...rest]: readonly Step[]): unknown[] {
  if (value === undefined || value === null) return []
  if (step === undefined) return [value]
  if (typeof step === 'string') return walk(dig(value, step), rest)
  const items: unknown[] = Array.isArray(value) ? value : []
  const chosen = 'all' in step ? items : items.filter(item => String(dig(item, ...step.path)) === step.equals)
  return chosen.flatMap(item => walk(item, rest))
}

function nodeStatus(node: KubeObject): string {
  const ready = itemsOf(node.status?.conditions).find(condition => condition.type === 'Ready')?.status
  const state = ready === 'True' ? 'Ready' : ready === undefined ? 'Unknown' : 'NotReady'
  return dig(node.spec, 'unschedulable') === true ? `${state},SchedulingDisabled` : state
}

const itemsOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : [])

function joined(values: unknown): string {
  const texts = (Array.isArray(values) ? values : []).filter(text => typeof text === 'string' && text !== '')
  return texts.join(',') || '<none>'
}

const [MINUTE, HOUR, DAY] = [60, 3600, 86_400]

/** k8s.io/apimachinery/pkg/util/duration HumanDuration: two units where the first alone would be coarse. */
export function age(timestamp: unknown, now = Date.now()): string {
  const s = Math.floor((now - Date.parse(String(timestamp))) / 1000)
  if (Number.isNaN(s)) return '<unknown>'
  const [m, h, d] = [Math.floor(s / MINUTE), Math.floor(s / HOUR), Math.floor(s / DAY)]
  const two = (big: number, bigUnit: string, small: number, unit: string) =>
    `${big}${bigUnit}${small ? small + unit : ''}`
  if (s < 2 * MINUTE) return `${Math.max(s, 0)}s`
  if (m < 10) return two(m, 'm', s % MINUTE, 's')
  if (h < 3) return `${m}m`
  if (h < 8) return two(h, 'h', m % 60, 'm')
  if (h < 48) return `${h}h`
  if (d < 8) return two(d, 'd', h % 24, 'h')
  if (d < 2 * 365) return `${d}d`
  return d < 8 * 365 ? two(Math.floor(d / 365), 'y', d % 365, 'd') : `${Math.floor(d / 365)}y`
}
