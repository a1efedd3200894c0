/** What is wrong with a manifest, by the Kubernetes schemas. */
import * as client from '@kubernetes/client-node'
import type {Manifest} from './manifests.ts'

/** A class of kubernetes-models: required keys, types, formats and enumerations; unknown keys pass. */
type Model = new (data: object) => {validate(): void}

/** One of the official client: which keys there are. */
interface Attributes {
  getAttributeTypeMap(): readonly {readonly baseName: string; readonly type: string}[]
}

const PACKAGES: Readonly<Record<string, string>> = {
  'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/',
}

/** "spec.template.hostNetwrok: there is no such key". */
export async function problemsOf(manifest: Manifest): Promise<string[]> {
  const {apiVersion, kind} = manifest
  const modules = PACKAGES[apiVersion] ?? 'kubernetes-models/'
  const model = ((await import(`${modules}${apiVersion}/${kind}`)) as Record<string, Model>)[kind]!
  const problems: string[] = []
  try {
    new model(manifest).validate()
  } catch (error) {
    problems.push((error as Error).message)
  }
  // The client has none of other groups' kinds.
  if (!PACKAGES[apiVersion]) strays(manifest, `${versionOf(apiVersion)}${kind}`, '', problems)
  return problems
}

/** "apps/v1" → "V1". */
const versionOf = (apiVersion: string): string => apiVersion.split('/').at(-1)!.replace(/^v/, 'V')

function strays(value: unknown, type: string, path: string, problems: string[]): void {
  const [, item] = /^Array<(.*)>$/.exec(type) ?? []
  const [, entry] = /^\{ \[key: string\]: (.*); \}$/.exec(type) ?? []
  if (item !== undefined && Array.isArray(value)) {
    for (const [i, each] of value.entries()) strays(each, item, `${path}[${i}]`, problems)
    return
  }
  if (typeof value !== 'object' || value === null) return
  const known = (client as unknown as Readonly<Record<string, Attributes | undefined>>)[type]?.getAttributeTypeMap?.()
  for (const [key, each] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`
    const attribute = known?.find(({baseName}) => baseName === key)
    if (known && !attribute) problems.push(`${at}: there is no such key`)
    else strays(each, attribute?.type ?? entry ?? 'any', at, problems)
  }
}

/**
 * Rules of apiextensions.k8s.io/v1 for schemas ("structural") that its own schema does not know.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
export function unstructured(schema: Readonly<Record<string, unknown>>, path: string): string[] {
  const {type, properties, items, additionalProperties, required = []} = schema
  const own = properties as Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined
  const open = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true
  return [
    ...(typeof type === 'string' || open ? [] : [`${path} has no type`]),
    ...(own && additionalProperties !== undefined ? [`${path} has properties and additionalProperties`] : []),
    ...(type === 'array' && items === undefined ? [`${path} has no items`] : []),
    ...['$ref', 'definitions', 'dependencies', 'uniqueItems', 'patternProperties', 'id']
      .filter(key => key in schema)
      .map(key => `${path} has ${key}, which is not allowed`),
    ...(required as string[])
      .filter(key => own && !(key in own))
      .map(key => `${path} requires ${key}, which it has not`),
    ...Object.entries(own ?? {}).flatMap(([key, each]) => unstructured(each, `${path}.${key}`)),
    ...(typeof items === 'object' ? unstructured(items as Record<string, unknown>, `${path}[]`) : []),
    ...(typeof additionalProperties === 'object'
      ? unstructured(additionalProperties as Record<string, unknown>, `${path}.*`)
      : []),
  ]
}
