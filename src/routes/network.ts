/** A pod network, as its routes see it. */
import type {Config} from '../model/config.ts'

export type RouteNetwork = Pick<
  Config['networks'][number],
  'name' | 'protocol' | 'backend' | 'mtu' | 'vxlan' | 'pods' | 'nodeAddresses'
>
