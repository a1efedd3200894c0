/** From a body to an object of the resource that the path names: its shape is checked, its content is not. */
import {badRequest} from './errors.ts'
import {type Fields, isFields, type KubeObject, type ObjectMeta} from './objects.ts'
import {groupVersion, type Place} from './resources.ts'

/** Throws a 400. A built-in kind may leave out kind and apiVersion, as with the real server; a custom one may not. */
export function decode(place: Place, body: unknown): KubeObject {
  const {resource, version, namespace} = place
  const wanted = groupVersion(resource.group, version)
  if (!isFields(body)) throw badRequest(`cannot read ${resource.kind}: the body must be a JSON object`)
  const {kind = resource.custom ? undefined : resource.kind, apiVersion = resource.custom ? undefined : wanted} = body
  if (!kind) throw badRequest("Object 'Kind' is missing in the body")
  if (!apiVersion) throw badRequest("Object 'apiVersion' is missing in the body")
  if (apiVersion !== wanted)
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${wanted})`)
  if (kind !== resource.kind)
    throw badRequest(`${kind} in version "${version}" cannot be handled as a ${resource.kind}: the kinds differ`)
  const metadata = body.metadata ?? {}
  const problem = isFields(metadata) ? metadataProblem(metadata) : 'metadata: must be an object'
  if (problem) throw badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${problem}`)
  const meta = metadata as unknown as ObjectMeta
  if (namespace && meta.namespace && meta.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  return {...body, apiVersion: wanted, kind: resource.kind, metadata: resource.namespaced ? meta : cleared(meta)}
}

/** A cluster-scoped object has no namespace, whatever the body says. */
function cleared({namespace: _, ...metadata}: ObjectMeta): ObjectMeta {
  return metadata
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isTextMap = (value: unknown): boolean => isFields(value) && Object.values(value).every(isText)
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

const SHAPES: readonly (readonly [field: string, is: (value: unknown) => boolean, what: string])[] = [
  ...['name', 'namespace', 'generateName', 'resourceVersion', 'uid'].map(f => [f, isText, 'a string'] as const),
  ...['labels', 'annotations'].map(f => [f, isTextMap, 'an object with strings'] as const),
  ['finalizers', isTexts, 'an array of strings'],
]

function metadataProblem(metadata: Fields): string | undefined {
  const wrong = SHAPES.find(([field, is]) => (metadata[field] ?? undefined) !== undefined && !is(metadata[field]))
  return wrong && `metadata.${wrong[0]}: must be ${wrong[2]}`
}
