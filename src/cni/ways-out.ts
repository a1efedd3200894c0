/** Which interface a pod's default route leads through: a further network's, where that was asked for. */
import type {Cidr} from '../model/ip.ts'
import {parseIp} from '../model/ip.ts'
import type {Sandbox} from '../model/namespace.ts'
import type {EntryIndex} from './entry-index.ts'
import type {Plan} from './journal.ts'
import {isFurther} from './journal.ts'
import type {CniResult} from './result.ts'
import {restoreDefaultRoute, setDefaultRoute} from './types/default-route.ts'

export interface WaysOut {
  /** As the interface's plan asks for it; done again it changes nothing. `first`: @default the journal's */
  set(plan: Plan, sandbox: Sandbox, first?: First): Promise<void>
  /** The first interface has it again. */
  restore(plan: Plan, sandbox: Sandbox): Promise<void>
  /** Of all interfaces of a container, whose first one was made anew. */
  setAll(plan: Plan, sandbox: Sandbox): Promise<void>
}

export interface First {
  readonly ifname: string
  readonly result: CniResult
}

/** `keep`: pod and service ranges. Each rejects with CniError. */
export function createWaysOut({ofContainer}: EntryIndex, keep: readonly Cidr[]): WaysOut {
  const of = (containerId: string) => ofContainer(containerId).filter(({state}) => state === 'added')

  const firstOf = ({containerId}: Plan): First | undefined => {
    const entry = of(containerId).find(({plan}) => !isFurther(plan))
    return entry?.result && {ifname: entry.plan.ifname, result: entry.result}
  }

  const wishOf = ({ifname, attachment}: Plan, first: First) => ({
    ifname,
    gateways: (attachment?.selection.defaultRoute ?? []).map(parseIp),
    firstIfname: first.ifname,
    first: first.result,
    keep,
  })

  const ways: WaysOut = {
    set: async (plan, sandbox, first = firstOf(plan)) => {
      // At the pod's start the first interface is not there yet: whoever makes it says when it is.
      if (!first || !asks(plan)) return
      await setDefaultRoute(await sandbox.kernel(), wishOf(plan, first))
    },
    restore: async (plan, sandbox) => {
      const first = firstOf(plan)
      if (first && asks(plan)) await restoreDefaultRoute(await sandbox.kernel(), wishOf(plan, first))
    },
    setAll: async ({containerId}, sandbox) => {
      for (const {plan} of of(containerId)) if (isFurther(plan)) await ways.set(plan, sandbox)
    },
  }
  return ways
}

const asks = ({attachment}: Plan): boolean => (attachment?.selection.defaultRoute ?? []).length > 0
