/** What the API server was asked, as its authorisation sees it, and what RBAC rules grant. */
import type {Manifest} from './manifests.ts'

export interface Request {
  readonly method: string
  /** With the query. */
  readonly path: string
}

/** "get nodes", "patch pods/status", "list pairs.netgraft.dev", "create leases.coordination.k8s.io in kube-system". */
export type Right = string

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  PATCH: 'patch',
  PUT: 'update',
  DELETE: 'delete',
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb */
export function rightOf({method, path}: Request): {right: Right; namespace: string | undefined} {
  const {pathname, searchParams} = new URL(path, 'http://server')
  const [, core, group, rest] = /^\/(?:(api)\/v1|apis\/([^/]+)\/[^/]+)\/(.+)$/.exec(pathname) ?? []
  if (rest === undefined) throw new Error(`${method} ${path} is about no resource`)
  const parts = rest.split('/').map(decodeURIComponent)
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? parts.splice(0, 2)[1] : undefined
  const [plural, name, subresource] = parts
  const read = name !== undefined ? 'get' : searchParams.get('watch') === 'true' ? 'watch' : 'list'
  const verb = method === 'GET' ? read : VERBS[method]!
  const what = subresource === undefined ? plural : `${plural}/${subresource}`
  return {right: `${verb} ${core ? what : `${what}.${group}`}`, namespace}
}

interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

/** Each right with where it holds: undefined is everywhere. All roles of the manifests are the agents'. */
export function granted(manifests: readonly Manifest[]): Map<Right, string | undefined> {
  const rights = new Map<Right, string | undefined>()
  for (const {kind, metadata, rules} of manifests.filter(each => /^(Cluster)?Role$/.test(each.kind)))
    for (const {apiGroups, resources, verbs} of rules as Rule[])
      for (const group of apiGroups)
        for (const resource of resources)
          for (const verb of verbs)
            rights.set(
              `${verb} ${resource}${group === '' ? '' : `.${group}`}`,
              kind === 'Role' ? metadata.namespace : undefined,
            )
  return rights
}

/** What was asked for without being granted: with an example each. */
export function missing(requests: readonly Request[], rights: ReadonlyMap<Right, string | undefined>): string[] {
  const found = new Map<Right, string>()
  for (const request of requests) {
    const {right, namespace} = rightOf(request)
    const where = rights.get(right)
    if (!rights.has(right) || (where !== undefined && where !== namespace))
      found.set(right, `${right}: ${request.method} ${request.path}`)
  }
  return [...found.values()].sort()
}

export function unused(requests: readonly Request[], rights: ReadonlyMap<Right, string | undefined>): Right[] {
  const used = new Set(requests.map(request => rightOf(request).right))
  return [...rights.keys()].filter(right => !used.has(right)).sort()
}
