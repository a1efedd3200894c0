/** A pod network, as its routes see it. */
import type {Config} from '../model/config.ts'

type Network = Config['networks'][number]

export type RouteNetwork = Pick<Network, 'name' | 'protocol' | 'backend' | 'mtu' | 'vxlan' | 'nodeAddresses'> & {
  readonly pods: Pick<Network['pods'], 'mode'>
}
