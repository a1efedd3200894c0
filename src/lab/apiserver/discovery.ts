/** What clients ask before they ask for objects: versions, groups, resources, and schemas (which are left empty). */
import type {Fields} from './objects.ts'
import {groupVersion, type Registry, type Resource} from './resources.ts'

/** gitVersion's minor picks the kubectl that a version dispatcher runs. */
export const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0',
  gitCommit: 'netgraft-lab',
  gitTreeState: 'clean',
  platform: 'linux/amd64',
  goVersion: 'none',
  compiler: 'none',
  buildDate: '1970-01-01T00:00:00Z',
}

/** The JSON document at a discovery path, or undefined. */
export function discovery(registry: Registry, path: readonly string[]): Fields | undefined {
  const [root, a, b, c, d] = path
  const shape = `${root} ${path.length}`
  if (shape === 'version 1') return VERSION
  if (shape === 'api 1') return {kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: []}
  if (shape === 'api 2') return resourceList(registry, '', a!)
  if (shape === 'apis 1') return {kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(registry).map(apiGroup)}
  if (shape === 'apis 2')
    return groupsOf(registry)
      .map(apiGroup)
      .find(group => group.name === a)
  if (shape === 'apis 3') return resourceList(registry, a!, b!)
  if (shape === 'openapi 2' && a === 'v2') return {swagger: '2.0', info: OPENAPI_INFO, paths: {}, definitions: {}}
  if (shape === 'openapi 2' && a === 'v3') return openApiIndex(registry)
  if (shape === 'openapi 4' && a === 'v3' && b === 'api') return openApi(registry, '', c!)
  if (shape === 'openapi 5' && a === 'v3' && b === 'apis') return openApi(registry, c!, d!)
  return undefined
}

/**
 * openapi.v2.Document with nothing but field 1, swagger: "2.0". kubectl before 1.27 takes its schemas only from this
 * protobuf form; what has no schema there it does not validate, so the empty document lets every object pass.
 */
export const OPENAPI_V2_PROTOBUF = Buffer.from([0x0a, 0x03, 0x32, 0x2e, 0x30])

/** The named groups with their versions; the core group has a root of its own. */
function groupsOf(registry: Registry): [group: string, versions: Set<string>][] {
  const groups = new Map<string, Set<string>>()
  for (const {group, versions} of registry.all().filter(r => r.group))
    groups.set(group, new Set([...(groups.get(group) ?? []), ...versions.map(v => v.name)]))
  return [...groups]
}

function apiGroup([name, names]: [string, ReadonlySet<string>]): Fields {
  const versions = [...names].sort(byPriority).map(version => ({groupVersion: `${name}/${version}`, version}))
  return {kind: 'APIGroup', apiVersion: 'v1', name, versions, preferredVersion: versions[0]}
}

/** v2 before v1 before v1beta1 before v1alpha2: k8s.io/apimachinery/pkg/version CompareKubeAwareVersionStrings. */
function byPriority(a: string, b: string): number {
  const rank = (text: string) => {
    const [, major = '0', stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(text) ?? []
    return (stage === 'alpha' ? 0 : stage === 'beta' ? 1 : 2) * 1e12 + Number(major) * 1e6 + Number(minor)
  }
  return rank(b) - rank(a)
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

function resourceList(registry: Registry, group: string, version: string): Fields | undefined {
  const served = servedIn(registry, group, version)
  if (served.length === 0) return undefined
  const resources = served.flatMap(resource => {
    const {plural, singular, kind, namespaced, shortNames, categories, versions} = resource
    const main = {name: plural, singularName: singular, namespaced, kind, verbs: VERBS, shortNames, categories}
    const status = {name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get', 'patch', 'update']}
    const binding = {name: 'pods/binding', singularName: '', namespaced, kind: 'Binding', verbs: ['create']}
    const served = versions.some(v => v.name === version && v.status) ? [main, status] : [main]
    return resource.id === 'pods' ? [...served, binding] : served
  })
  return {kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources}
}

const servedIn = (registry: Registry, group: string, version: string): Resource[] =>
  registry.all().filter(r => r.group === group && r.versions.some(v => v.name === version))

const OPENAPI_INFO = {title: 'Netgraft lab', version: VERSION.gitVersion}

function openApiIndex(registry: Registry): Fields {
  const named = groupsOf(registry).flatMap(([group, versions]) => [...versions].map(v => `apis/${group}/${v}`))
  const paths = ['api/v1', ...named].map(path => [path, {serverRelativeURL: `/openapi/v3/${path}`}])
  return {paths: Object.fromEntries(paths)}
}

/**
 * No schemas, but a PATCH for every kind that takes fieldValidation and dryRun: kubectl then leaves validation to the
 * server (k8s.io/cli-runtime/pkg/resource/query_param_verifier_v3.go), and this server lets everything pass.
 */
function openApi(registry: Registry, group: string, version: string): Fields | undefined {
  const served = servedIn(registry, group, version)
  if (served.length === 0) return undefined
  const parameters = ['dryRun', 'fieldValidation'].map(name => ({name, in: 'query', schema: {type: 'string'}}))
  const paths = served.map(({plural, kind}) => [
    `/${group ? `apis/${group}` : 'api'}/${version}/${plural}/{name}`,
    {patch: {parameters, responses: {}, 'x-kubernetes-group-version-kind': {group, version, kind}}},
  ])
  return {openapi: '3.0.0', info: OPENAPI_INFO, paths: Object.fromEntries(paths)}
}
