/**
 * IPAM `host-local`: addresses out of ranges, a file for each one that is given out. Files, lock and choice of addresses
 * are those of the program of that name (1.1.1), so that either may go on with what the other began.
 */
import {quoted} from '../../model/errors.ts'
import type {Files} from '../../model/files.ts'
import {CniError} from '../error.ts'
import type {NativePlugin, PluginCall} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {type HostLocalConfig, hostLocalConfig, knowsHostLocal} from './host-local-config.ts'
import {leaseFolders} from './host-local-folder.ts'
import {type Lease, type LeaseView, planLeases} from './host-local-plan.ts'
import type {LeaseFolder, Taking} from './host-local-visit.ts'
import {readResolvConf} from './resolv-conf.ts'

export function hostLocal({files}: {readonly files: Files}): NativePlugin {
  const folders = leaseFolders(files)
  return {
    knows: knowsHostLocal,

    add: async call => {
      const config = hostLocalConfig(call)
      const dns = config.resolvConf === '' ? {} : await readResolvConf(config.resolvConf)
      const owners = ownersOf(call)
      const leases = await folders.use(
        config.folder,
        call.signal,
        folder => reserve(config, owners, folder),
        view => foresee(config, owners, view),
      )
      return resultOf(config, leases, dns)
    },

    check: async call => {
      const config = hostLocalConfig(call)
      await folders.use(config.folder, call.signal, async folder => {
        if (ownersOf(call).every(owner => folder.of(owner).length === 0))
          throw new CniError('failed', `${title(call)} has no address of network ${quoted(config.network)} any more`)
      })
    },

    del: async call => {
      const config = hostLocalConfig(call)
      const [owner, ancient] = ownersOf(call)
      await folders.use(config.folder, call.signal, async folder => {
        const own = folder.of(owner)
        // The program looks once for each range set: what is left for the second time is what an old plugin wrote.
        const alsoAncient = own.length === 0 || config.sets.length > 1
        await folder.release([...own, ...(alsoAncient ? folder.of(ancient) : [])])
      })
    },
  }
}

/** What a lease file says, and what those of very old plugins do. */
const ownersOf = ({containerId, ifname}: PluginCall): readonly [string, string] => {
  const id = containerId.trim()
  return [`${id}\r\n${ifname}`, id]
}

const title = ({containerId, ifname}: PluginCall): string => `${quoted(ifname)} of container ${quoted(containerId)}`

/** What {@link reserve} will come to, in all likelihood. */
function foresee(config: HostLocalConfig, owners: readonly [string, string], view: LeaseView): Taking | undefined {
  const {leases, failure} = planLeases(config, owners, view)
  return failure ? undefined : {addresses: leases.map(({ip}) => `${ip}`), owner: owners[0]}
}

async function reserve(
  config: HostLocalConfig,
  owners: readonly [string, string],
  folder: LeaseFolder,
): Promise<readonly Lease[]> {
  for (;;) {
    const {leases, failure} = planLeases(config, owners, folder)
    // Nobody is refused because of what is only remembered.
    if (failure && (await folder.reread())) continue
    if (failure) {
      for (const {set, ip} of leases) folder.setLast(set, `${ip}`)
      throw failure
    }
    const addresses = leases.map(({ip}) => `${ip}`)
    if (!(await folder.take(addresses, owners[0]))) continue
    for (const {set, ip} of leases) folder.setLast(set, `${ip}`)
    return leases
  }
}

const resultOf = ({routes}: HostLocalConfig, leases: readonly Lease[], dns: CniResult['dns']): CniResult => ({
  interfaces: [],
  ips: leases.map(({ip, range}) => ({address: `${ip}/${range.subnet.length}`, gateway: `${range.gateway}`})),
  routes,
  dns,
})
