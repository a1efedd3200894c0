/** docs/crds.md: its examples are what the definitions ask for, and what the agents read. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {type Crd, crds, type Schema} from '../../scripts/docs-crds.ts'
import {canonicalConfig} from '../../src/cni/definition.ts'
import {ENDPOINTS, PAIRS, VNIS} from '../../src/pairs/documents.ts'
import {projectDefinition} from '../../src/streams/definitions.ts'
import {blocksOf} from '../docs/support/markdown.ts'
import {documents, type Manifest, ROOT} from './support/manifests.ts'

const page = readFileSync(join(ROOT, 'docs/crds.md'), 'utf8')
const examples = blocksOf(page).flatMap(({language, text}) => (language === 'yaml' ? documents(text) : []))
const exampleOf = ({spec: {names, group}}: Crd): Manifest =>
  examples.find(({kind, apiVersion}) => kind === names.kind && apiVersion.startsWith(`${group}/`))!

for (const crd of crds()) {
  const {names, group, scope, versions} = crd.spec

  test(`${names.kind} of ${group}: there is an example, and it is what the schema asks for`, t => {
    const example = exampleOf(crd)
    t.is(example.apiVersion, `${group}/${versions[0]!.name}`)
    t.is(example.metadata.namespace !== undefined, scope === 'Namespaced')
    t.deepEqual(problemsOf(example, versions[0]!.schema.openAPIV3Schema, names.kind), [])
  })
}

test('a mistake would be found', t => {
  const crd = crds().find(({spec}) => spec.names.kind === 'PairPod')!
  const {spec, ...rest} = exampleOf(crd)
  const schema = crd.spec.versions[0]!.schema.openAPIV3Schema
  t.deepEqual(problemsOf({...rest, spec: {...spec, node: 7, createdAt: -1, pod: undefined}}, schema, ''), [
    '.spec requires pod',
    '.spec.createdAt is less than 0',
    '.spec.node is no string',
  ])
})

test('the agents understand the examples', t => {
  const [attachment, network, pod, pair, vni] = crds().map(exampleOf)
  for (const definition of [attachment!, network!]) {
    const kind = definition.kind as 'NetworkAttachmentDefinition' | 'Network'
    const read = projectDefinition(kind, definition)
    t.is(JSON.parse(canonicalConfig(read)).type, 'bridge')
  }
  t.is(ENDPOINTS.parse(pod).spec.pod, pod!.metadata.name)
  t.is(PAIRS.parse(pair).status.state, 'up')
  t.is(`${VNIS.parse(vni).spec.node}`, 'n1')
})

/** Of what our definitions use of OpenAPI. An unknown key would be taken away. */
function problemsOf(value: unknown, schema: Schema, path: string): string[] {
  if (schema.type === 'array') {
    if (!Array.isArray(value)) return [`${path} is no list`]
    const many = value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY) ? [`${path} has too many items`] : []
    return [...many, ...value.flatMap((each, i) => problemsOf(each, schema.items!, `${path}[${i}]`))]
  }
  if (schema.type === 'integer') {
    if (!Number.isInteger(value)) return [`${path} is no whole number`]
    const {minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY} = schema
    if ((value as number) < minimum) return [`${path} is less than ${minimum}`]
    return (value as number) > maximum ? [`${path} is more than ${maximum}`] : []
  }
  if (schema.type !== 'object') return typeof value === schema.type ? [] : [`${path} is no ${schema.type}`]
  if (typeof value !== 'object' || value === null) return [`${path} is no object`]
  const given = value as Readonly<Record<string, unknown>>
  // Of metadata a definition says no more than that it is there.
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.properties === undefined
  return [
    ...(schema.required ?? []).filter(key => given[key] === undefined).map(key => `${path} requires ${key}`),
    ...Object.keys(given).flatMap(key =>
      open || schema.properties?.[key] ? [] : [`${path}.${key}: there is no such key`],
    ),
    ...Object.entries(schema.properties ?? {}).flatMap(([key, each]) =>
      given[key] === undefined ? [] : problemsOf(given[key], each, `${path}.${key}`),
    ),
  ]
}
