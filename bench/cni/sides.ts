/** What is compared: networks that are made by the agent, and the same ones by the plugins of the CNI project. */
import {join} from 'node:path'
import type {Agent} from '../agent.ts'
import type {Node} from './nodes.ts'

/** A column of the tables. */
export interface Side {
  readonly name: string
  readonly site: Node
  /** The plugin. */
  readonly program: string
  /** CNI_PATH. */
  readonly path: string
  readonly config: object
  /** Undefined: there is none. */
  readonly agent?: Agent
}

/** Where Debian's containernetworking-plugins has them. */
export const UPSTREAM = '/usr/lib/cni'
export const SHIM = join(import.meta.dirname, '..', '..', 'dist', 'netgraft-cni')
export const CNI_VERSION = '1.0.0'

/** The sides whose time is the measure. */
export const RIVAL = {bridge: 'upstream bridge', ptp: 'upstream ptp'} as const

export interface Nodes {
  /** With an agent each, for a pod network of that mode. */
  readonly ptp: Node
  readonly bridge: Node
  /** Without. */
  readonly upstream: Node
}

/** Ours and theirs take turns. `folder`: for the leases of host-local. */
export function sidesOf(nodes: Nodes, folder: string): Side[] {
  const theirs = (type: 'bridge' | 'ptp'): Side => {
    const conf = network(type, join(folder, 'upstream'))
    const config = {cniVersion: CNI_VERSION, name: nameOf(type), ...conf}
    return {name: RIVAL[type], site: nodes.upstream, program: join(UPSTREAM, type), path: UPSTREAM, config}
  }
  return [
    ours('bridge', nodes.ptp, 'bridge', [network('bridge', join(folder, 'netgraft'))]),
    theirs('bridge'),
    ours('ptp', nodes.ptp, 'ptp', [network('ptp', join(folder, 'netgraft'))]),
    theirs('ptp'),
    defaultSide('default ptp', nodes.ptp),
    defaultSide('default bridge', nodes.bridge),
  ]
}

/** The pod network of the node's agent. */
export const defaultSide = (name: string, node: Node): Side => ours(name, node, 'default')

const nameOf = (type: string): string => `bench-${type}`

function ours(name: string, site: Node, type: string, delegates?: readonly object[]): Side {
  const agent = site.agent!
  const config = {
    cniVersion: CNI_VERSION,
    name: nameOf(type),
    type: 'netgraft',
    ...agent.plugin,
    // As containerd says it of a pod without annotations.
    runtimeConfig: {'io.kubernetes.cri.pod-annotations': null},
    ...(delegates && {delegates}),
  }
  return {name, site, program: SHIM, path: UPSTREAM, config, agent}
}

/** What a node's pods have everywhere: a subnet, a default route, on the bridge a gateway. */
function network(type: 'bridge' | 'ptp', dataDir: string): object {
  const subnet = type === 'bridge' ? '10.88.0.0/16' : '10.89.0.0/16'
  const ipam = {type: 'host-local', dataDir, ranges: [[{subnet}]], routes: [{dst: '0.0.0.0/0'}]}
  return type === 'bridge' ? {type, bridge: 'cni0', isGateway: true, ipam} : {type, ipam}
}
