/** docs/crds.md: what deploy/crds says, and an example of each kind from docs/examples. */
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {parse} from 'yaml'
import {table} from './markdown-table.ts'

export interface Schema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly format?: string
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly maxItems?: number
  readonly minItems?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

interface Column {
  readonly name: string
  readonly type: string
  readonly jsonPath: string
  readonly priority?: number
}

interface Version {
  readonly name: string
  readonly schema: {readonly openAPIV3Schema: Schema}
  readonly additionalPrinterColumns?: readonly Column[]
}

export interface Crd {
  readonly metadata: {readonly name: string}
  readonly spec: {
    readonly group: string
    readonly scope: 'Namespaced' | 'Cluster'
    readonly names: {readonly kind: string; readonly plural: string; readonly shortNames?: readonly string[]}
    readonly versions: readonly Version[]
  }
}

const ROOT = new URL('../', import.meta.url)
const FOLDER = new URL('deploy/crds/', ROOT)

/** Of each definition: who writes its objects, and what an operator has to do with them. Markdown. */
const STORIES: Readonly<Record<string, string>> = {
  'network-attachment-definitions.k8s.cni.cncf.io':
    'Written by people; the agents only read it. The kind is that of the de-facto standard, which Multus and others serve, too. How pods name one: [annotations](annotations.md).',
  'networks.kaloom.com':
    'Written by people; the agents only read it. The kind is that of kactus. `config` need not repeat the `type`, which `plugin` says. How pods name one: [annotations](annotations.md#networks).',
  'pairs.netgraft.dev':
    "Written by the agent of the first end's node, for people to look at: no agent acts upon it. What pairs there are is said by the pods themselves ([pairs](pairs.md)). `status.state` is `waiting`, `building`, `up`, `failed` or `contradiction`, `status.kind` is `veth` or `vxlan`.",
  'pairpods.netgraft.dev':
    "Written by the agent of the pod's node, and read by all others. What no agent understands is reported once and left alone ([store](store.md)).",
  'vnis.netgraft.dev':
    "Written by one of the two nodes' agents when a pair becomes a tunnel, and deleted by it afterwards. Its name is the number, so that nobody can take one twice: leave these objects to the agents.",
}

export const crds = (): readonly Crd[] =>
  (parse(readFileSync(new URL('Kustomization', FOLDER), 'utf8')) as {resources: string[]}).resources.map(
    file => parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Crd,
  )

export function crdsPage(generated: string): string {
  return `${generated}

# Custom resources

The definitions are in \`deploy/crds\`, and come with every overlay ([install](install.md)). What the tables do not list as
required may be left away. There are no defaults: what is absent is absent. Where further keys are kept, a newer agent may
write more than an older definition knows; of the other kinds the API server takes away keys that it does not know.

Who may write what is a matter of RBAC: people need nothing of \`netgraft.dev\` but \`get\`, \`list\` and \`watch\`.

${crds().map(section).join('\n\n')}
`
}

function section(crd: Crd): string {
  const {names, versions} = crd.spec
  const {name} = crd.metadata
  return versions
    .map(version => {
      const {openAPIV3Schema: schema} = version.schema
      return [
        `## ${names.kind}`,
        '',
        wrap(headOf(crd, version)),
        '',
        wrap(`${schema.description ?? ''} ${STORIES[name] ?? ''}`.trim()),
        '',
        table(['key', 'type', 'must be', 'meaning'], fieldsOf(schema).map(rowOf)),
        '',
        columnsOf(version.additionalPrinterColumns),
        '',
        '```yaml',
        exampleOf(name),
        '```',
      ].join('\n')
    })
    .join('\n\n')
}

function headOf({spec: {group, scope, names}}: Crd, version: Version): string {
  const short = names.shortNames?.map(each => `\`${each}\``).join(', ')
  const where = scope === 'Namespaced' ? 'in a namespace' : 'of the whole cluster'
  const get = `\`kubectl get ${names.plural}.${group}\``
  return `\`${group}/${version.name}\`, ${where}; ${get}${short === undefined ? '' : `, short: ${short}`}.`
}

/** Lines of at most 125 characters. */
const wrap = (text: string): string => text.replaceAll(/(?=.{126})(.{1,125}) /g, '$1\n')

interface Field {
  readonly path: string
  readonly required: boolean
  readonly schema: Schema
}

/** Without what every object has. */
function fieldsOf(schema: Schema, path = ''): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, each]) => {
    if (path === '' && ['apiVersion', 'kind', 'metadata'].includes(key)) return []
    const at = path === '' ? key : `${path}.${key}`
    const own = {path: at, required: schema.required?.includes(key) ?? false, schema: each}
    return [own, ...fieldsOf(each, at), ...(each.items ? fieldsOf(each.items, `${at}[]`) : [])]
  })
}

const rowOf = ({path, required, schema}: Field): readonly string[] => [
  `\`${path}\``,
  schema.type === 'array' ? `list of ${schema.items?.type ?? 'anything'}s` : (schema.type ?? 'anything'),
  [...(required ? ['there'] : []), ...limitsOf(schema)].join(', ') || '–',
  [
    ...(schema.description ? [schema.description] : []),
    ...(isOpen(schema) || (schema.items && isOpen(schema.items)) ? ['Further keys are kept.'] : []),
  ].join(' '),
]

const isOpen = (schema: Schema): boolean => schema['x-kubernetes-preserve-unknown-fields'] === true

const limitsOf = ({format, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, ...schema}: Schema) => [
  ...(format === undefined ? [] : [format]),
  ...(schema.enum === undefined ? [] : [schema.enum.map(each => `\`${each}\``).join(' or ')]),
  ...(minimum === undefined ? [] : [`at least ${minimum}`]),
  ...(maximum === undefined ? [] : [`at most ${maximum}`]),
  ...(minLength === undefined ? [] : [`at least ${minLength} characters`]),
  ...(maxLength === undefined ? [] : [`at most ${maxLength} characters`]),
  ...(minItems === undefined ? [] : [`at least ${minItems} items`]),
  ...(maxItems === undefined ? [] : [`at most ${maxItems} items`]),
  ...(pattern === undefined ? [] : [`like \`${pattern}\``]),
]

function columnsOf(columns: readonly Column[] = []): string {
  if (columns.length === 0) return 'Printed: `NAME`, `AGE`.'
  const name = ({name: title, jsonPath, priority = 0}: Column) =>
    `\`${title.toUpperCase()}\` (\`${jsonPath}\`${priority > 0 ? ', with `-o wide`' : ''})`
  return wrap(`Printed: ${columns.map(name).join(', ')}.`)
}

function exampleOf(name: string): string {
  const file = new URL(`docs/examples/${name}.yaml`, ROOT)
  if (!existsSync(file))
    throw new Error(
      `${file.pathname} is not there; there are ${readdirSync(new URL('docs/examples/', ROOT)).join(', ')}`,
    )
  return readFileSync(file, 'utf8').trimEnd()
}
