/** Backend `auto`, decided per peer and family: direct where the node is on a connected subnet, else through a tunnel. */
import type {Backend} from './backend.ts'
import {connected} from './direct.ts'
import {vxlan} from './vxlan.ts'

export const auto: Backend = (peer, site) => connected(peer, site) ?? vxlan(peer, site)
