/** Backend `auto`, decided per peer and family: direct where the node is on a connected subnet, else through a tunnel. */
import type {Backend} from './backend.ts'
import {connected, neighbouring} from './direct.ts'
import {vxlan} from './vxlan.ts'

/** A tunnel over IPv4 is surer than a link-local address that nobody has told. */
export const auto: Backend = (peer, site) => {
  const tunnelled = () => vxlan(peer, site)
  const direct = connected(peer, site)
  if (direct) return direct
  const tunnel = tunnelled()
  return typeof tunnel === 'string' ? (neighbouring(peer, site) ?? tunnel) : tunnel
}
