/** labelSelector and fieldSelector, parsed once a request into one predicate. */
import {badRequest} from './errors.ts'
import {dig, type KubeObject} from './objects.ts'
import type {Resource} from './resources.ts'

export type Matches = (object: KubeObject) => boolean

/** Every object matches; compared by identity to know that nothing is selected. */
export const everything: Matches = () => true

export function selector(resource: Resource, labels: string | null, fields: string | null): Matches {
  const tests = [...labelTests(labels ?? ''), ...fieldTests(resource, fields ?? '')]
  return tests.length === 0 ? everything : object => tests.every(test => test(object))
}

const KEY = '[A-Za-z0-9][\\w./-]*'
const REQUIREMENT = new RegExp(
  `\\s*(?:!\\s*(?<absent>${KEY})|(?<set>${KEY})\\s+(?<how>in|notin)\\s*\\((?<values>[^()]*)\\)` +
    `|(?<key>${KEY})\\s*(?<sign>==|!=|=)\\s*(?<value>[\\w.-]*)|(?<present>${KEY}))\\s*(?:,|$)`,
  'y',
)

/** k8s.io/apimachinery/pkg/labels, without its `<` and `>`. As there, != and notin also match objects without the key. */
function labelTests(text: string): Matches[] {
  const tests: Matches[] = []
  for (let at = 0; at < text.length; at = REQUIREMENT.lastIndex) {
    REQUIREMENT.lastIndex = at
    const found = REQUIREMENT.exec(text)?.groups
    if (!found)
      throw badRequest(`unable to parse requirement: found '${text.slice(at)}', expected: a label requirement`)
    const {absent, set, how, values, key, sign, value, present} = found
    const label = (object: KubeObject) => dig(object.metadata, 'labels', (absent ?? set ?? key ?? present)!)
    if (absent) tests.push(object => label(object) === undefined)
    else if (present) tests.push(object => label(object) !== undefined)
    else {
      const wanted: unknown[] = set ? values!.split(',').map(v => v.trim()) : [value]
      const positive = how === 'in' || sign === '=' || sign === '=='
      tests.push(object => wanted.includes(label(object)) === positive)
    }
  }
  return tests
}

/** What the real server indexes, by resource; the two of metadata are served for all. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  nodes: ['spec.unschedulable'],
  pods: ['spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.phase', 'status.podIP'],
  namespaces: ['status.phase'],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
}

function fieldTests(resource: Resource, text: string): Matches[] {
  const served = [
    'metadata.name',
    ...(resource.namespaced ? ['metadata.namespace'] : []),
    ...(FIELDS[resource.id] ?? []),
  ]
  return text
    .split(',')
    .filter(term => term.trim() !== '')
    .map(term => {
      const [, field, sign, value] = /^\s*([^=!]+?)\s*(==|!=|=)\s*(.*?)\s*$/.exec(term) ?? []
      if (field === undefined) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`)
      if (!served.includes(field)) throw badRequest(`field label not supported: ${field}`)
      const path = (ELSEWHERE[field] ?? field).split('.')
      return object => (String(dig(object, ...path) ?? unset(field)) === value) === (sign !== '!=')
    })
}

/** Of selectable fields with another path in the object. */
const ELSEWHERE: Readonly<Record<string, string>> = {source: 'source.component'}

/** How an unset field reads in a selector: a boolean as false, all others empty. */
const unset = (field: string): string => (field === 'spec.unschedulable' ? 'false' : '')
