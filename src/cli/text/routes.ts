/** `netgraft routes` for people. Pure. */
import type {AdminNetworkRoutes, AdminRoute, AdminRoutes} from '../../model/admin.ts'
import {type Line, plural} from '../../model/text.ts'
import {type Cell, EMPTY, plain, stateCell, styled, tableOf} from './text.ts'

export const formatRoutes = ({networks}: AdminRoutes): readonly Line[] =>
  networks.flatMap((each, i) => [...(i > 0 ? [EMPTY] : []), ...networkLines(each)])

function networkLines({network, protocol, tunnels, routes, unknown}: AdminNetworkRoutes): readonly Line[] {
  return [
    styled(`Network ${network} (route protocol ${protocol})`, 'bold'),
    ...tunnels.map(({device, vni, port, local, mtu, ends}) =>
      plain(
        `tunnel ${device}: VNI ${vni}, UDP ${port}${local === undefined ? '' : `, from ${local}`}, mtu ${mtu}, ${plural(ends, 'peer')}`,
      ),
    ),
    ...(unknown === undefined
      ? tableOf(['NODE', 'RANGE', 'STATE', 'WAY'], routes.map(rowOf), 'no nodes')
      : [styled(`not known: ${unknown}`, 'bad')]),
  ]
}

const rowOf = ({node, own, range = '-', state, wanted, standing, reason}: AdminRoute): readonly Cell[] => [
  own ? `${node} (this)` : node,
  range,
  stateCell(state === 'none' ? '-' : state),
  [wanted, standing === undefined ? undefined : `now: ${standing || 'somewhere else'}`, reason]
    .filter(Boolean)
    .join('; '),
]
