/** Reads a schema as data: the rows of the configuration's reference page. */
import * as v from 'valibot'

/** One row of the reference page. */
export interface Row {
  /** "networks[].protocol". */
  readonly path: string
  /** What may be written there. */
  readonly values: string
  readonly default: unknown
  readonly meaning: string
}

/** What the reference page says about a key beside its description. */
export interface Facts {
  /** The form of a text. */
  readonly form?: string
  /** @default none */
  readonly unit?: string
  /** The bounds of a number. */
  readonly from?: number
  readonly to?: number
}

/** What is used here of valibot's schemas, which are plain objects. */
export interface SchemaNode {
  readonly type: string
  readonly wrapped?: v.GenericSchema
  readonly default?: unknown
  readonly entries?: Readonly<Record<string, v.GenericSchema>>
  readonly item?: v.GenericSchema
  readonly options?: readonly string[]
}

/** Every key, in the schema's order. */
export const rowsOf = (schema: v.GenericSchema): readonly Row[] => [...rows(schema, '', undefined)]

/** A schema without the wrapper that gives it its default. */
export function unwrap(schema: v.GenericSchema): SchemaNode {
  const node: SchemaNode = schema
  return node.type === 'nullish' ? node.wrapped! : node
}

function* rows(schema: v.GenericSchema, path: string, fallback: unknown): Generator<Row> {
  const node: SchemaNode = schema
  if (node.type === 'nullish') return yield* rows(node.wrapped!, path, node.default)
  if (node.type === 'object') {
    for (const [name, entry] of Object.entries(node.entries!))
      yield* rows(entry, path === '' ? name : `${path}.${name}`, undefined)
    return
  }
  yield {path, values: valuesOf(schema, node), default: fallback, meaning: v.getDescription(schema) ?? ''}
  // Values of a plain list are told by its own form.
  if (node.type === 'array' && unwrap(node.item!).type === 'object') yield* rows(node.item!, `${path}[]`, undefined)
}

function valuesOf(schema: v.GenericSchema, node: SchemaNode): string {
  const facts: Facts = v.getMetadata(schema)
  if (node.options) return node.options.map(option => `\`${option}\``).join(', ')
  if (node.type === 'array') return facts.form ?? 'a list'
  if (node.type === 'boolean') return '`true`, `false`'
  const type = node.type === 'number' ? `a whole number, ${facts.from} to ${facts.to}` : (facts.form ?? 'text')
  return facts.unit === undefined ? type : `${type} (${facts.unit})`
}
