/** The admin API's view of what a pass over routes would write now, and why. Nothing is written. */
import type {AdminChange, AdminNetworkPlan} from '../model/admin.ts'
import type {KernelState} from '../model/kernel.ts'
import type {Change} from '../model/plans.ts'
import {describeChange} from '../netlink/kernel-writer.ts'
import type {Settlement} from '../routes/claims.ts'
import {diffEverything} from '../routes/diff.ts'
import {diffTunnels} from '../routes/tunnels.ts'
import {type RoutesAsked, settle, words} from './admin-routes.ts'

/** Yields between nodes, and between routes. */
export function* planRoutes({basis, report, kernel}: RoutesAsked): Generator<void, AdminNetworkPlan, undefined> {
  const {site, desired, allowed, heldBack} = basis
  const {network} = site
  const settlement = yield* settle(basis)
  const devices = diffTunnels(network, basis.tunnels, kernel).changes
  const {routes, tunnels, peers, ways} = desired
  const found: Change[] = []
  const comparing = diffEverything({routes, tunnels, peers, ways, problems: []}, kernel, network.protocol, changes => {
    found.push(...changes)
  })
  let compared = comparing.next()
  while (!compared.done) {
    yield
    compared = comparing.next()
  }
  const all = [...devices, ...found, ...compared.value.changes]
  const made = new Set(allowed(all, kernel))
  const refused = new Map(report.refused.map(({change, refusal}) => [describeChange(change), refusal.message]))
  const changes = all
    .filter(change => made.has(change))
    .map((change): AdminChange => {
      const refusal = refused.get(describeChange(change))
      const why = whyOf(change, settlement, kernel)
      return {change: textOf(change, kernel), why: refusal === undefined ? why : `${why}; refused last: ${refusal}`}
    })
  const conflicts = [...compared.value.conflicts.values()].flat().map(({wanted, foreign, blocks}) => {
    const ours = blocks ? 'ours cannot stand beside it' : 'ours stands behind it'
    return `${wanted.destination}: a route that is not ours leads ${words(foreign, kernel)}; ${ours}`
  })
  return {network: network.name, changes, conflicts, ...(heldBack !== undefined && {heldBack})}
}

const textOf = (change: Change, kernel: KernelState): string =>
  change.object === 'route'
    ? `route ${change.op} ${change.item.destination} ${words(change.item, kernel)}`
    : describeChange(change)

function whyOf(change: Change, {claims}: Settlement, kernel: KernelState): string {
  const {object, op} = change
  if (object === 'route') {
    const text = `${change.item.destination}`
    const node = claims.get(text)?.node.name
    if (op === 'delete')
      return node === undefined ? 'no node has that range' : `it is not the way to node ${node} any more`
    const whose = `node ${node ?? 'of that range'} is to be reached so`
    const standing = kernel.routes.get(text)?.find(({protocol}) => protocol === change.item.protocol)
    return op === 'replace' && standing ? `${whose}; now it is ${words(standing, kernel)}` : whose
  }
  if (object === 'link')
    return {
      add: "the network's tunnel is not there",
      set: 'somebody has changed it',
      delete: 'it is not as it is wanted',
    }[op]
  if (object === 'address') return "this node's own address in its tunnels"
  return op === 'delete' ? 'no peer is behind it' : 'a peer is behind it'
}
