/** DEL of a pod that hangs on a veth: its addresses are out of use when it is answered, the link goes behind it. */
import type {Step} from '../../model/namespace.ts'
import type {Link} from '../../model/net.ts'
import type {PluginCall} from '../plugin.ts'
import {settled} from './kernel.ts'
import {release} from './lease.ts'
import {aliasOf, hostName, isMine} from './marks.ts'
import {flush, type Inside, look, removeInside} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {hostRoute} from './wiring.ts'

/**
 * The config is not judged: what it made has to go, whatever has become of it. `routed`: the host has routes to the
 * pod's addresses. Rejects with CniError.
 */
export async function delVeth(ports: TypePorts, call: PluginCall, routed: boolean): Promise<void> {
  const pending = ports.removals.pending(hostName(call))
  if (pending) call.later(pending)
  else await disconnect(ports, call, routed)
  await settled([call.config.ipMasq ? ports.masquerade.remove(aliasOf(call)) : Promise.resolve(), release(ports, call)])
}

async function disconnect({host, removals}: TypePorts, call: PluginCall, routed: boolean): Promise<void> {
  const [link, inside] = await settled<[Link | undefined, Inside | undefined]>([host.link(hostName(call)), look(call)])
  const mine = link && isMine(link, aliasOf(call)) ? link : undefined
  // Routes that have gone already are refused, which is no matter.
  const unroute = mine && inside && routed ? host.change(routesTo(inside, mine)) : undefined
  await settled([inside ? flush(inside) : Promise.resolve(), Promise.resolve(unroute)])
  // A pod whose veth was made by somebody else, or renamed: what bears the name is what has to go.
  if (inside && inside.link.parent !== mine?.index) await removeInside(inside)
  if (!mine) return
  const gone = removals.remove(mine)
  if (inside) call.later(gone)
  // What addresses it had nobody could see: they are in use for as long as it stands.
  else await gone
}

const routesTo = ({addresses}: Inside, {index}: Link): Step[] =>
  addresses
    .filter(({scope}) => scope !== 'link')
    .map(({ip}) => ({op: 'delete', object: 'route', item: hostRoute(ip, index)}))
