/** What a pod has of further networks, as its status tells of them where the journal has lost them. Pure. */
import type {Selected} from '../model/attachment.ts'
import {ifnameFault} from '../model/ifname.ts'
import {hashName} from './names.ts'
import type {Named} from './plan.ts'
import {statedInterfaces} from './status.ts'

/**
 * `status`: the annotation network-status, which anybody may have written: it is to be asked of the kernel what is there.
 * An element that asks for such a network, under that name or any, is taken for what it was attached for.
 */
export function rememberedNetworks(status: string | undefined, selected: readonly Selected[]): Named[] {
  const asking = new Set(selected.filter(({selection}) => !selection.primary))
  const seen = new Set<string>()
  return statedInterfaces(status).flatMap(({name: title, ifname}) => {
    const [, namespace, name] = /^([-a-z0-9]{1,63})\/([-.a-z0-9]{1,253})$/.exec(title) ?? []
    if (namespace === undefined || name === undefined || ifname === '' || ifnameFault(ifname) || seen.has(ifname))
      return []
    seen.add(ifname)
    const asked = [...asking].find(({selection: each}) => {
      const fixed = each.interface ?? (each.dialect === 'kaloom' ? hashName(each.name) : ifname)
      return each.namespace === namespace && each.name === name && fixed === ifname
    })
    if (asked) asking.delete(asked)
    return [{ifname, selected: asked ?? {at: '', selection: {dialect: 'npwg', namespace, name}}}]
  })
}
