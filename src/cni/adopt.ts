/** An interface of a pod that bears our marks, and that the journal has lost: what ADD once answered, as the kernel tells it. */
import type {NamespaceKernel, Sandbox} from '../model/namespace.ts'
import type {AttachmentKey} from './request.ts'
import type {CniResult} from './result.ts'
import {aliasOf} from './types/marks.ts'

/** Undefined: it is not ours. Gateways and routes are not told by the kernel of whom they are: they are left out. */
export async function standingResult(
  host: NamespaceKernel,
  sandbox: Sandbox,
  key: AttachmentKey,
): Promise<CniResult | undefined> {
  const alias = aliasOf(key)
  const kernel = await sandbox.kernel()
  const [link, ends, addresses] = await Promise.all([kernel.link(key.ifname), host.links(), kernel.addresses()])
  if (!link) return undefined
  const end = ends.find(each => each.alias === alias)
  // A veth's end on the host knows the index of the other one; a macvlan bears the mark itself.
  if (!(end ? end.parent === link.index : link.alias === alias)) return undefined
  const bridge = end && ends.find(({index}) => index === end.master)
  const interfaces = [
    ...[bridge, end].flatMap(each => (each ? [{name: each.name, ...(each.mac && {mac: each.mac})}] : [])),
    {name: link.name, ...(link.mac && {mac: link.mac}), sandbox: sandbox.path},
  ]
  const own = addresses.filter(({index, scope}) => index === link.index && scope !== 'link')
  return {
    interfaces,
    ips: own.map(({ip, length}) => ({address: `${ip}/${length}`, interface: interfaces.length - 1})),
    routes: [],
    dns: {},
  }
}
