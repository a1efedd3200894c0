/** GET on a collection: pages of one consistent snapshot. */
import type {Cluster} from './cluster.ts'
import {badRequest, expired, invalid, tooLargeVersion} from './errors.ts'
import type {Format} from './format.ts'
import type {Place} from './resources.ts'
import {everything, type Matches, selector} from './selectors.ts'
import type {Stored} from './store.ts'

const LIST_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
  'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
  'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
  'deleted between the time the first chunk was returned and now may show up in the list.'

/** What of a collection is asked for, by name, namespace and selectors. */
export function selection(place: Place, query: URLSearchParams): Matches {
  const matches = selector(place.resource, query.get('labelSelector'), query.get('fieldSelector'))
  const {namespace, name} = place
  if (namespace === undefined && name === undefined) return matches
  return object =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (name === undefined || object.metadata.name === name) &&
    matches(object)
}

/** Throws what the real server answers to "0x1". Undefined for none. */
export function revisionIn(query: URLSearchParams, name = 'resourceVersion'): number | undefined {
  const text = query.get(name)
  if (!text) return undefined
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`)
  return Number(text)
}

/** The body of the answer. `isGone` is asked once for a continue token. */
export function list(
  cluster: Cluster,
  place: Place,
  query: URLSearchParams,
  format: Format,
  isGone: () => boolean,
): string {
  const limit = revisionIn(query, 'limit') ?? 0
  const token = query.get('continue')
  const matches = selection(place, query)
  const from = token ? decodeToken(token) : undefined
  const revision = from?.revision || exactRevision(query, limit, !!token) || cluster.store.revision
  checkVersion(query, cluster.store.revision)
  const again = from && encodeToken({revision: 0, after: from.after})
  if (from && isGone()) throw expired(LIST_EXPIRED, again)
  const snapshot = cluster.store.listAt(place.resource.id, revision)
  if (!snapshot) throw expired(from ? LIST_EXPIRED : `The resourceVersion for the provided list is too old.`, again)
  const chosen = matches === everything ? snapshot : snapshot.filter(({object}) => matches(object))
  const start = from ? firstAfter(chosen, from.after) : 0
  const end = limit > 0 ? start + limit : chosen.length
  const page = chosen.slice(start, end)
  const left = chosen.length - start - page.length
  return format.list(page, {
    resourceVersion: String(revision),
    ...(left > 0 && {
      continue: encodeToken({revision, after: page.at(-1)!.key}),
      // With selectors the real server does not know it.
      ...(!query.get('labelSelector') && !query.get('fieldSelector') && {remainingItemCount: left}),
    }),
  })
}

function checkVersion(query: URLSearchParams, current: number): void {
  const [revision, match] = [revisionIn(query), query.get('resourceVersionMatch')]
  const refuse = (why: string) => invalid('ListOptions.meta.k8s.io', '', `resourceVersionMatch: Forbidden: ${why}`)
  if (query.has('sendInitialEvents'))
    throw invalid(
      'ListOptions.meta.k8s.io',
      '',
      'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
    )
  if (match && revision === undefined)
    throw refuse('resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (match === 'Exact' && revision === 0)
    throw refuse('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
  if (revision !== undefined && revision > current) throw tooLargeVersion(revision, current)
}

/** The revision that must be shown exactly; a limit without a match asks for it too (kubernetes.io, "API concepts"). */
function exactRevision(query: URLSearchParams, limit: number, continued: boolean): number | undefined {
  const [revision, match] = [revisionIn(query), query.get('resourceVersionMatch')]
  if (continued && revision) throw badRequest('specifying resource version is not allowed when using continue')
  return match === 'Exact' || (!match && limit > 0) ? revision : undefined
}

/** Where a list goes on. Revision 0: at the newest, after the snapshot was lost. */
interface Token {
  readonly revision: number
  readonly after: string
}

const encodeToken = (token: Token): string => Buffer.from(JSON.stringify(token)).toString('base64url')

function decodeToken(text: string): Token {
  try {
    const {revision, after} = JSON.parse(Buffer.from(text, 'base64url').toString()) as Token
    if (Number.isSafeInteger(revision) && revision >= 0 && typeof after === 'string') return {revision, after}
  } catch {}
  throw badRequest('continue key is not valid: the token was not made by this server')
}

function firstAfter(items: readonly Stored[], key: string): number {
  const at = items.findIndex(item => item.key > key)
  return at < 0 ? items.length : at
}
