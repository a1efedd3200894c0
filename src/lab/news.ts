/** What happened at the nodes, in words. Pure. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import {equalNodeFacts} from '../streams/nodes.ts'
import type {PeerRoutes} from './route-watch.ts'
import {describeWays} from './ways.ts'

/** Changes of one node at one moment that are told one by one. */
const TOLD_SINGLY = 4

/** Of one node: a text each. */
export function routeNews(added: PeerRoutes, gone: PeerRoutes): string[] {
  if (added.size + gone.size <= TOLD_SINGLY)
    return [...[...added.keys()].map(route => `+ ${route}`), ...[...gone.keys()].map(route => `- ${route}`)]
  return [sum(added, 'added'), sum(gone, 'removed')].filter(text => text !== '')
}

/** "6 routes added (2 direct, 4 vxlan)"; empty for none. */
const sum = (routes: PeerRoutes, what: string): string =>
  routes.size === 0 ? '' : `${routes.size} routes ${what} (${describeWays(routes.values())})`

type Objects = ReadonlyMap<NodeName, NodeFacts>

export function objectNews(before: Objects, after: Objects): {readonly node: NodeName; readonly text: string}[] {
  const deleted = [...before.keys()].filter(node => !after.has(node))
  return [
    ...[...after].flatMap(([node, facts]) => {
      const text = changeOf(before.get(node), facts)
      return text === undefined ? [] : [{node, text}]
    }),
    ...deleted.map(node => ({node, text: 'Node object deleted'})),
  ]
}

function changeOf(old: NodeFacts | undefined, node: NodeFacts): string | undefined {
  if (!old) return `Node object created: ${node.podCIDRs.join(' ')}`
  if (equalNodeFacts(old, node)) return undefined
  if (!equalNodeFacts({...old, vteps: node.vteps}, node)) return `Node object changed: ${node.podCIDRs.join(' ')}`
  const ends = node.vteps.flatMap(vtep => vtep.ends.map(({ip}) => ip))
  return ends.length > 0 ? `tunnel published: ${ends.join(' ')}` : 'tunnel no longer published'
}
