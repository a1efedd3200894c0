/** The sysctls without which a node passes nothing on to its pods. */
import type {Link} from '../model/net.ts'

/** In the agent's namespace; names are paths under net ("ipv4/ip_forward"). Both reject with Node's errors. */
export interface Sysctls {
  read(name: string): Promise<string>
  write(name: string, value: string): Promise<void>
}

/**
 * Switches forwarding on. IPv6: an interface that took router advertisements (accept_ra 1) would stop doing so as a
 * forwarding one, and lose its default route: 2 keeps it. Documentation/networking/ip-sysctl.rst in the kernel's tree.
 *
 * Returns what was written. A family that the kernel does not have (ENOENT) is left out.
 */
export async function enableForwarding(sysctls: Sysctls, links: Iterable<Link>): Promise<string[]> {
  const written: string[] = []
  const set = async (name: string, value: string, unless: (current: string) => boolean) => {
    const current = await sysctls.read(name).catch(ignoreMissing)
    if (current === undefined || unless(current)) return
    await sysctls.write(name, value)
    written.push(`${name}=${value}`)
  }
  const on = (current: string) => current !== '0'
  await set('ipv4/ip_forward', '1', on)
  for (const {name, loopback} of links) {
    if (!loopback) await set(`ipv6/conf/${name}/accept_ra`, '2', value => value !== '1')
  }
  await set('ipv6/conf/all/forwarding', '1', on)
  return written
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
