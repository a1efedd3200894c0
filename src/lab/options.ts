/** The lab's command line. */
import {parseArgs} from 'node:util'
import type {BackendName} from '../model/config-network.ts'
import type {LabFamily, Topology} from './plan.ts'

export const USAGE = `Usage: npm run lab -- [options]

  --nodes N          virtual nodes, each with an agent process of its own: 1 to 50 (default 3)
  --pods N           pods on each node: 0 to 20 (default 2)
  --family 4|6|dual  the families of node addresses and pod ranges (default dual)
  --l3               a subnet for each node, with a router between them that knows no pods (default: all on one subnet)
  --mixed            two subnets with such a router between them: the first two thirds of the nodes are on one
  --backend B        how the agents reach other nodes' pods: auto, direct or vxlan (default auto: direct on the node's
                     own subnet, vxlan beyond)
  --no-attachments   leave out the example of networks that are attached to running pods and taken away again
  --no-pairs         leave out the example of pods that are connected in pairs
  --once             check that every pod reaches every other one and that the examples work, print a summary, and end:
                     non-zero on any failure
  --help             print this

With KUBEBUILDER_ASSETS naming a folder that has them, the real kube-apiserver and etcd are used.
`

export interface LabArguments {
  readonly nodes: number
  readonly podsPerNode: number
  readonly family: LabFamily
  readonly topology: Topology
  readonly backend: BackendName
  readonly attachments: boolean
  readonly pairs: boolean
  readonly once: boolean
  readonly help: boolean
}

/** The message is one sentence. */
export class UsageError extends Error {}

/** With fewer nodes there is no second subnet, or nobody shares the first. */
const MIXED_LEAST = 3

/** Throws {@link UsageError}. */
export function parseArguments(args: string[]): LabArguments {
  const {nodes, pods, family, l3, mixed, backend, attachments, pairs, once, help} = parse(args)
  if (family !== '4' && family !== '6' && family !== 'dual')
    throw new UsageError(`--family is 4, 6 or dual, not "${family}"`)
  if (backend !== 'auto' && backend !== 'direct' && backend !== 'vxlan')
    throw new UsageError(`--backend is auto, direct or vxlan, not "${backend}"`)
  if (l3 && mixed) throw new UsageError('--l3 and --mixed cannot be had together')
  return {
    nodes: wholeNumber(mixed ? '--nodes with --mixed' : '--nodes', nodes, mixed ? MIXED_LEAST : 1, 50),
    podsPerNode: wholeNumber('--pods', pods, 0, 20),
    family,
    topology: l3 ? 'l3' : mixed ? 'mixed' : 'l2',
    backend,
    attachments,
    pairs,
    once,
    help,
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowNegative: true,
      options: {
        nodes: {type: 'string', default: '3'},
        pods: {type: 'string', default: '2'},
        family: {type: 'string', default: 'dual'},
        l3: {type: 'boolean', default: false},
        mixed: {type: 'boolean', default: false},
        backend: {type: 'string', default: 'auto'},
        attachments: {type: 'boolean', default: true},
        pairs: {type: 'boolean', default: true},
        once: {type: 'boolean', default: false},
        help: {type: 'boolean', short: 'h', default: false},
      },
    }).values
  } catch (error) {
    // Node's own sentence; what follows it is advice about "--" that fits nothing here.
    throw new UsageError((error as Error).message.split('. ')[0]!)
  }
}

function wholeNumber(option: string, text: string, from: number, to: number): number {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < from || value > to)
    throw new UsageError(`${option} takes a whole number from ${from} to ${to}, not "${text}"`)
  return value
}
