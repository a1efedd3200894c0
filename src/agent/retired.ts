/** What an earlier configuration has left: routes and tunnels of networks that are called otherwise now, or are no more. */
import type {Config} from '../model/config.ts'
import {OVER_IPV6, usesTunnels} from '../model/config-network.ts'
import type {Logger} from '../model/logger.ts'
import {TABLE_MAIN} from '../model/net.ts'
import {isOwnLink, OWN_ALIAS} from '../model/plans.ts'
import type {Kernel} from '../netlink/kernel.ts'
import {deleteLink, dumpLinks} from '../netlink/link.ts'
import type {Request} from '../netlink/request.ts'
import {deleteRoute, dumpRoutes, replaceRoute} from '../netlink/route.ts'
import {type NetworkRecord, readNetworks, writeNetworks} from './network-record.ts'

export interface RetireOptions {
  readonly config: Pick<Config, 'networks' | 'folders'>
  readonly kernel: Kernel
  readonly log: Logger
}

/**
 * Before the first pass. Routes of a network that has another mark now get it where they stand, so that no packet is lost;
 * those of a network that is no more go. What fails is told, and done at the next start. Never rejects.
 */
export async function retireNetworks({config, kernel, log}: RetireOptions): Promise<void> {
  const {networks, folders} = config
  const now = networks.map(({name, protocol}): NetworkRecord => ({name, protocol}))
  const before = await readNetworks(folders.state)
  const retired = before.filter(({protocol}) => !now.some(each => each.protocol === protocol))
  try {
    // Whatever happens from here on: the next agent knows of both.
    await writeNetworks(folders.state, [...now, ...retired])
    const kept: NetworkRecord[] = []
    for (const network of retired) if (!(await retire(network, now, kernel, log))) kept.push(network)
    await removeTunnels(networks, kernel, log)
    await writeNetworks(folders.state, [...now, ...kept])
  } catch (error) {
    log.warn('what an earlier configuration may have left cannot be looked for; trying again at the next start', {
      err: error,
    })
  }
}

/** Whether nothing is left of it. */
async function retire(
  {name, protocol}: NetworkRecord,
  now: readonly NetworkRecord[],
  kernel: Kernel,
  log: Logger,
): Promise<boolean> {
  const heir = now.find(each => each.name === name)?.protocol
  const requests: Request[] = []
  // Of a multipath route only the kernel knows whose paths were merged into it.
  for (const family of [4, 6] as const)
    for (const route of await kernel.dump(dumpRoutes({family, protocol, table: TABLE_MAIN})))
      if (route.nextHops.length < 2)
        requests.push(heir === undefined ? deleteRoute(route) : replaceRoute({...route, protocol: heir}))
  const refusals = (await kernel.batch(requests)).filter(refusal => refusal !== undefined)
  if (requests.length > 0)
    log.info(
      heir === undefined
        ? 'routes of a network that is not in the configuration any more are removed'
        : "a network's routes have another protocol number from now on",
      {network: name, before: protocol, ...(heir !== undefined && {protocol: heir}), routes: requests.length},
    )
  if (refusals.length > 0)
    log.warn('not all routes of an earlier configuration could be changed; trying again at the next start', {
      network: name,
      detail: refusals[0]!.message,
    })
  return refusals.length === 0
}

const NETWORK_ALIAS = `${OWN_ALIAS}network `

/** Of networks that are no more. A device whose name another one has now is that one's, whatever it was called. */
async function removeTunnels(networks: Config['networks'], kernel: Kernel, log: Logger): Promise<void> {
  const taken = networks.filter(usesTunnels).flatMap(({vxlan: {device}}) => [device, `${device}${OVER_IPV6}`])
  for (const link of await kernel.dump(dumpLinks())) {
    if (!isOwnLink(link) || !link.alias?.startsWith(NETWORK_ALIAS)) continue
    const network = link.alias.slice(NETWORK_ALIAS.length)
    if (taken.includes(link.name) || networks.some(({name}) => name === network)) continue
    const [refusal] = await kernel.batch([deleteLink(link.index)])
    if (refusal) log.warn('a tunnel of an earlier configuration cannot be removed', {detail: refusal.message})
    else
      log.info('a tunnel of a network that is not in the configuration any more is removed', {
        network,
        device: link.name,
      })
  }
}
