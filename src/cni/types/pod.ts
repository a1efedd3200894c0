/** The pod's side of an attachment, inside its namespace. */
import {quoted} from '../../model/errors.ts'
import type {NamespaceKernel, Sandbox, Step} from '../../model/namespace.ts'
import type {Address, IfIndex, Link, Mac} from '../../model/net.ts'
import {CniError} from '../error.ts'
import type {PluginCall} from '../plugin.ts'
import {changeAll, refused, trySysctl} from './kernel.ts'
import {sandboxOf} from './undo.ts'
import {podSteps, type Wiring} from './wiring.ts'

export interface Pod {
  readonly sandbox: Sandbox
  readonly kernel: NamespaceKernel
  readonly ifname: string
}

/** Rejects with CniError. */
export async function enter(call: PluginCall): Promise<Pod> {
  const {ifname, netns} = call
  const sandbox = sandboxOf(call)
  const kernel = await sandbox.kernel().catch((cause: Error) => {
    throw new CniError('failed', `the namespace ${quoted(netns)} cannot be entered: ${cause.message}`, {cause})
  })
  return {sandbox, kernel, ifname}
}

/**
 * A pod that has no interface of that name yet, unless it is the one of that MAC. Rejects with CniError: what stands
 * there is left alone.
 */
export async function enterFree(call: PluginCall, except?: Mac): Promise<Pod> {
  const pod = await enter(call)
  if (!(await isThere(pod))) return pod
  const link = await pod.kernel.link(pod.ifname)
  if (link && (except === undefined || link.mac !== except))
    throw new CniError('failed', `${quoted(call.netns)} has an interface ${quoted(call.ifname)} already`)
  return pod
}

/** Asked without the lock that every question about links takes, which the making of this one may be holding. */
const isThere = ({kernel, ifname}: Pod): Promise<boolean> =>
  kernel.readSysctl(`ipv4/conf/${ifname}/forwarding`).then(
    () => true,
    () => false,
  )

/** EACCES: IPv6 is switched off on the interface, as a runtime may do for all of them. */
const SWITCHED_OFF = 'EACCES'

/** Sets the interface up with its addresses and routes. Rejects with CniError. */
export async function wirePod(
  {kernel, ifname}: Pod,
  wiring: Wiring,
  index: IfIndex,
  named: {readonly from?: string; readonly alias?: string} = {},
): Promise<void> {
  const what = `${quoted(ifname)} cannot be set up in the pod`
  const {from, alias} = named
  const steps = podSteps(wiring, index, from === undefined ? {} : {name: ifname, ...(alias !== undefined && {alias})})
  const ipv6 = wiring.ips.some(({ip}) => ip.family === 6)
  const changed = kernel.change(steps)
  // Behind it: nothing of these is needed for the first packet, and each is a trip of its own.
  const sysctls = wiring.sysctls.map(([family, name, value]) =>
    trySysctl(kernel, `${family}/conf/${ifname}/${name}`, value),
  )
  const loopback = ipv6 ? switchOnIpv6(kernel, 'lo') : undefined
  const [outcomes] = await Promise.all([changed, ...sysctls, loopback])
  const refusal = outcomes.find(each => each.refusal)?.refusal
  if (!refusal) return
  if (!ipv6 || !outcomes.some(each => each.refusal?.code === SWITCHED_OFF)) throw refused(what, refusal)
  await switchOnIpv6(kernel, ifname)
  await changeAll(
    kernel,
    what,
    steps.filter((_, i) => outcomes[i]?.refusal),
  )
}

/** Only where it is off. A kernel without IPv6 has no such sysctl: the addresses say so better. */
export async function switchOnIpv6(kernel: NamespaceKernel, ifname: string): Promise<void> {
  const name = `ipv6/conf/${ifname}/disable_ipv6`
  const value = await kernel.readSysctl(name).catch(() => '0')
  if (value !== '0') await trySysctl(kernel, name, '0')
}

/** What a pod has under an interface's name. */
export interface Inside {
  readonly pod: Pod
  readonly link: Link
  readonly addresses: readonly Address[]
}

/** Undefined: the interface, or the pod, is not there. */
export async function look(call: PluginCall, name: string = call.ifname): Promise<Inside | undefined> {
  if (!call.sandbox) return undefined
  const pod = await enter(call)
  const [link, addresses] = await Promise.all([pod.kernel.link(name), pod.kernel.addresses()])
  return link && {pod, link, addresses: addresses.filter(({index}) => index === link.index)}
}

/** Nobody answers for its addresses from here on, however long the link itself takes to go. */
export async function flush({pod, addresses}: Inside): Promise<void> {
  const steps = addresses
    .filter(({scope}) => scope !== 'link')
    .map(({index, ip, length}): Step => ({op: 'delete', object: 'address', item: {index, ip, length}}))
  const gone = ({op}: Step, {code}: {readonly code: string}) => op === 'delete' && GONE.has(code)
  if (steps.length > 0)
    await changeAll(pod.kernel, `the addresses of ${quoted(pod.ifname)} cannot be removed`, steps, gone)
}

const GONE: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'ENODEV'])

/** Waits until it has gone. */
export async function removeInside({pod, link}: Inside): Promise<void> {
  const [outcome] = await pod.kernel.change([{op: 'delete', object: 'link', item: link.index}])
  const refusal = outcome?.refusal
  if (refusal && refusal.code !== 'ENODEV') throw refused(`${quoted(link.name)} of the pod cannot be deleted`, refusal)
}
