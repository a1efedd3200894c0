/** Pods that stand on the host, and that the journal does not know: it was lost. Their addresses are told by the kernel. */
import type {NamespaceKernel} from '../model/namespace.ts'
import type {AttachmentKey} from './request.ts'
import {parseAlias} from './types/marks.ts'

export interface Stray extends AttachmentKey {
  /** Of its interface, without those that the kernel gives by itself. */
  readonly addresses: readonly string[]
}

/** One question for each, through its end on the host: its namespace need not be found. */
export async function findStrays(
  host: NamespaceKernel,
  isKnown: (key: AttachmentKey) => boolean,
): Promise<readonly Stray[]> {
  const ends = (await host.links()).flatMap(({alias, parent, parentNsid}) => {
    const key = parseAlias(alias)
    return key && !isKnown(key) && parent !== undefined && parentNsid !== undefined ? [{key, parent, parentNsid}] : []
  })
  return Promise.all(
    ends.map(async ({key, parent, parentNsid}) => {
      // It may go while it is looked at.
      const found = await host.addresses({nsid: parentNsid, index: parent}).catch(() => [])
      const own = found.filter(({index, scope}) => index === parent && scope !== 'link')
      return {...key, addresses: own.map(({ip, length}) => `${ip}/${length}`)}
    }),
  )
}
