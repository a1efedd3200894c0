/** How objects are written for one request: as they are, or as rows of a table; in the version that was asked for. */

import type {Fields} from './objects.ts'
import {groupVersion, type Place} from './resources.ts'
import type {Stored} from './store.ts'
import {columnsOf, type Include, tableOf} from './table.ts'

export interface Format {
  /** Formats with equal keys write equal texts. */
  readonly key: string
  one(stored: Stored): string
  list(items: readonly Stored[], metadata: Fields): string
  /** What a BOOKMARK carries. */
  bookmark(metadata: Fields): string
}

/** `accept` is taken in its order; protobuf and anything unknown is answered in plain JSON. */
export function formatFor({resource, version}: Place, accept = '', include: string | null = null): Format {
  const apiVersion = groupVersion(resource.group, version)
  const {kind} = resource
  const inVersion = ({object}: Stored) => (object.apiVersion === apiVersion ? object : {...object, apiVersion})
  if (!wantsTable(accept))
    return {
      key: apiVersion,
      one: stored => (stored.object.apiVersion === apiVersion ? stored.json : JSON.stringify(inVersion(stored))),
      list(items, metadata) {
        const head = JSON.stringify({kind: `${kind}List`, apiVersion, metadata})
        return `${head.slice(0, -1)},"items":[${items.map(this.one).join(',')}]}`
      },
      bookmark: metadata => JSON.stringify({kind, apiVersion, metadata}),
    }
  const columns = columnsOf(resource, version)
  const rows: Include = include === 'None' || include === 'Object' ? include : 'Metadata'
  const table = (items: readonly Stored[], metadata: Fields) =>
    JSON.stringify(tableOf(columns, items.map(inVersion), metadata, rows))
  return {
    key: `${apiVersion} table ${rows}`,
    one: stored => table([stored], {resourceVersion: stored.object.metadata.resourceVersion}),
    list: table,
    bookmark: metadata => table([], metadata),
  }
}

function wantsTable(accept: string): boolean {
  for (const type of accept.split(',').map(text => text.replaceAll(' ', ''))) {
    if (!type.startsWith('application/json')) continue
    const parameters = type.split(';').slice(1)
    if (parameters.includes('as=Table') && parameters.includes('v=v1')) return true
    if (!parameters.some(parameter => parameter.startsWith('as='))) return false
  }
  return false
}
