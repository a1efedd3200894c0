/** Whether what goes into a tunnel fits through what carries it. */
import type {KernelState} from '../../model/kernel.ts'
import {VXLAN_OVERHEAD} from '../../model/mtu.ts'
import {isOwnLink} from '../../model/plans.ts'
import {underlayMtu} from '../../routes/underlay.ts'
import {type Check, failed, ok} from './check.ts'

export function checkMtu(state: KernelState): Check[] {
  return [...state.links.values()].flatMap((link): Check[] => {
    const local = link.vxlan?.local
    if (!local || !isOwnLink(link)) return []
    const carries = underlayMtu(state, local)
    const name = `mtu of ${link.name}`
    if (carries === undefined)
      return [
        failed(
          name,
          `no interface has the tunnel's own address ${local}; give it back, or look why the agent does not follow`,
        ),
      ]
    const most = carries - VXLAN_OVERHEAD[local.family]
    return link.mtu <= most
      ? [ok(name, `${link.mtu} of ${most} bytes that fit`)]
      : [
          failed(
            name,
            `it is ${link.mtu}, and ${most} bytes fit through the interface with ${local}: large packets are lost; lower networks[].mtu, or raise the interface's`,
          ),
        ]
  })
}
