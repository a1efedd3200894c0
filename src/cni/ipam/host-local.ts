/**
 * IPAM `host-local`: addresses out of ranges, a file for each one that is given out. Files, lock and choice of addresses
 * are those of the program of that name (1.1.1), so that either may go on with what the other began.
 */
import {stat} from 'node:fs/promises'
import {quoted} from '../../model/errors.ts'
import type {Files} from '../../model/files.ts'
import {CniError} from '../error.ts'
import type {NativePlugin, PluginCall} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {type HostLocalConfig, hostLocalConfig, knowsHostLocal, leaseFolderOf} from './host-local-config.ts'
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
      const {config, refusal} = read(call)
      const path = config?.folder ?? leaseFolderOf(call)
      if (path === undefined || (refusal && !(await isThere(path)))) return
      const [owner, ancient] = ownersOf(call)
      const giveBack = folders.use(path, call.signal, async folder => {
        const own = folder.of(owner)
        // The program looks once for each range set: what is left for the second time is what an old plugin wrote.
        const alsoAncient = own.length === 0 || !config || config.sets.length > 1
        const leases = [...own, ...(alsoAncient ? folder.of(ancient) : [])]
        if (refusal && leases.length > 0) throw refusal
        await folder.release(leases)
      })
      await giveBack.catch(async error => {
        // Where the folder cannot even be made, ADD has been refused for that reason.
        if (isGiven(call) || (await isThere(path))) throw error
      })
    },
  }
}

/** ADD refuses it, too, and then nothing has been given out: that is undone by doing nothing. */
function read(call: PluginCall): {readonly config?: HostLocalConfig; readonly refusal?: CniError} {
  try {
    return {config: hostLocalConfig(call)}
  } catch (error) {
    if (error instanceof CniError) return {refusal: error}
    throw error
  }
}

/** ADD has succeeded: its addresses are kept somewhere. */
const isGiven = ({config}: PluginCall): boolean => config.prevResult !== undefined && config.prevResult !== null

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    ({code}: NodeJS.ErrnoException) => code !== 'ENOENT',
  )

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
