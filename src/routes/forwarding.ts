/** The sysctls without which a node passes nothing on to its pods. */
import type {KernelState} from '../model/kernel.ts'
import type {Link} from '../model/net.ts'

/** In the agent's namespace; names are paths under net ("ipv4/ip_forward"). Both reject with an error that has a `code`. */
export interface Sysctls {
  read(name: string): Promise<string>
  write(name: string, value: string): Promise<void>
}

export interface ForwardingResult {
  /** "ipv4/ip_forward=1". */
  readonly written: readonly string[]
  /** One sentence part each. */
  readonly failed: readonly string[]
}

/** RTPROT_RA, linux/rtnetlink.h. */
const PROTOCOL_RA = 9
/** IFA_F_PERMANENT, linux/if_addr.h: set by hand, not learnt. */
const PERMANENT = 0x80

/**
 * Keeps forwarding on; call it again whenever links have changed. A family that the kernel does not have is left out.
 *
 * IPv6: an interface that takes router advertisements (accept_ra 1) stops doing so as a forwarding one, and would lose
 * its default route: 2 keeps it. Only interfaces that live on advertisements get it, before forwarding goes on, and
 * again when they are made anew: no other, or a pod could tell the node its routes. Documentation/networking/ip-sysctl.rst
 * in the kernel's tree.
 */
export function forwardingKeeper(sysctls: Sysctls): (state: KernelState) => Promise<ForwardingResult> {
  const kept = new Set<string>()
  return async state => {
    const written: string[] = []
    const failed: string[] = []
    const read = (name: string) => attempt(() => sysctls.read(name), failed)
    const write = async (name: string, value: string) => {
      await attempt(async () => {
        await sysctls.write(name, value)
        written.push(`${name}=${value}`)
      }, failed)
    }
    for (const link of state.links.values()) {
      if (!kept.has(link.name) && !livesOnAdvertisements(link, state)) continue
      const conf = `ipv6/conf/${link.name}`
      const listens = (await read(`${conf}/accept_ra`)) === '1'
      if (!listens || !(kept.has(link.name) || (await read(`${conf}/forwarding`)) === '0')) continue
      await write(`${conf}/accept_ra`, '2')
      kept.add(link.name)
    }
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
      if ((await read(name)) === '0') await write(name, '1')
    }
    return {written, failed}
  }
}

/** It has a route, or an address, that was learnt. */
function livesOnAdvertisements(link: Link, {addresses, routes}: KernelState): boolean {
  if (link.loopback) return false
  const learnt = addresses
    .get(link.index)
    ?.some(({ip, scope, flags}) => ip.family === 6 && scope === 'global' && !(flags & PERMANENT))
  return (
    learnt ||
    (routes.get('::/0') ?? []).some(
      route => route.protocol === PROTOCOL_RA && route.nextHops.some(hop => hop.dev === link.index),
    )
  )
}

/** What is not there (ENOENT: no IPv6, or an interface that has just gone) is no failure. */
async function attempt<T>(run: () => Promise<T>, failed: string[]): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failed.push((error as Error).message)
    return undefined
  }
}
