/** Removes everything of ours from a node: what `netgraft cleanup` does. */
import {isOwnLink} from '../model/plans.ts'
import {Kernel, type KernelOptions} from '../netlink/kernel.ts'
import {deleteLink, dumpLinks} from '../netlink/link.ts'
import {deleteRoute, dumpRoutes, formatRoute} from '../netlink/route.ts'

export interface CleanupResult {
  /** What was removed, as `ip` would say it. */
  readonly removed: readonly string[]
  /** One sentence each. */
  readonly failed: readonly string[]
}

/** Routes with the marks (`rtm_protocol`) in every table, and links that bear ours. Does nothing where nothing is. */
export async function cleanup(protocols: readonly number[], options: KernelOptions = {}): Promise<CleanupResult> {
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
      if (isOwnLink(link)) doomed.push({what: `link ${link.name}`, request: deleteLink(link.index)})
    }
    const refusals = await kernel.batch(doomed.map(({request}) => request))
    return {
      removed: doomed.filter((_, i) => !refusals[i]).map(({what}) => what),
      failed: refusals.flatMap(refusal => (refusal ? [refusal.message] : [])),
    }
  } finally {
    kernel.close()
  }
}
