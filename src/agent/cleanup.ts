/** Removes everything of ours from a node: what `netgraft cleanup` does. */

import {parseAlias} from '../cni/types/marks.ts'
import {GUARD_TABLE} from '../guard/table.ts'
import {TABLE} from '../masquerade/table.ts'
import {NftError} from '../model/nft.ts'
import {isOwnLink} from '../model/plans.ts'
import {Kernel, type KernelOptions} from '../netlink/kernel.ts'
import {deleteLink, dumpLinks} from '../netlink/link.ts'
import {nftProgram} from '../netlink/nft.ts'
import {deleteRoute, dumpRoutes, formatRoute} from '../netlink/route.ts'

export interface CleanupResult {
  /** What was removed, as `ip` would say it. */
  readonly removed: readonly string[]
  /** One sentence each. */
  readonly failed: readonly string[]
}

export interface CleanupOptions extends KernelOptions {
  /** Folders to look for `nft` in, as in PATH, where it is not in its usual place. */
  readonly path?: string | undefined
}

/** Our tables of the packet filter, routes with the marks (`rtm_protocol`) in every table, and links that bear ours, but for those of pods: they go with them. Does nothing where nothing is. */
export async function cleanup(protocols: readonly number[], options: CleanupOptions = {}): Promise<CleanupResult> {
  const kernel = await Kernel.open(options)
  try {
    const doomed: {what: string; request: ReturnType<typeof deleteLink>}[] = []
    for (const family of [4, 6] as const) {
      for (const protocol of protocols) {
        for (const route of await kernel.dump(dumpRoutes({family, protocol}))) {
          doomed.push({what: `route ${formatRoute(route)}`, request: deleteRoute(route)})
        }
      }
    }
    for (const link of await kernel.dump(dumpLinks())) {
      if (isOwnLink(link) && !parseAlias(link.alias))
        doomed.push({what: `link ${link.name}`, request: deleteLink(link.index)})
    }
    const refusals = await kernel.batch(doomed.map(({request}) => request))
    const tables = [await removeTable(TABLE, options), await removeTable(GUARD_TABLE, options)]
    return {
      removed: [
        ...tables.flatMap(table => table.removed),
        ...doomed.filter((_, i) => !refusals[i]).map(({what}) => what),
      ],
      failed: [
        ...tables.flatMap(table => table.failed),
        ...refusals.flatMap(refusal => (refusal ? [refusal.message] : [])),
      ],
    }
  } finally {
    kernel.close()
  }
}

/** Where there is no nft, or a kernel that knows no tables, there is none of ours either. */
async function removeTable(name: string, {netns, path}: CleanupOptions): Promise<CleanupResult> {
  const nft = nftProgram({path, netns: typeof netns === 'number' ? `/proc/${process.pid}/fd/${netns}` : netns})
  try {
    if (!(await nft.list(name))) return {removed: [], failed: []}
    await nft.apply([{delete: {table: {family: 'inet', name}}}])
    return {removed: [`table inet ${name}`], failed: []}
  } catch (error) {
    const none = error instanceof NftError && (error.trouble === 'missing' || error.trouble === 'unsupported')
    return {removed: [], failed: none ? [] : [(error as Error).message]}
  }
}
