/** `netgraft check`: looks at the node itself, and asks the agent where only it can tell. Changes nothing that lasts. */
import {statfs} from 'node:fs/promises'
import {adminSocketPath} from '../agent/cni-folders.ts'
import type {AdminAnswers, AdminStatus} from '../model/admin.ts'
import type {Config} from '../model/config.ts'
import {Kernel} from '../netlink/kernel.ts'
import {namespaceKernel} from '../netlink/namespace.ts'
import {kernelSource} from '../netlink/source.ts'
import {MutableKernelState} from '../streams/kernel-state.ts'
import {newerState} from './absent.ts'
import {ask} from './ask.ts'
import {checkAgent} from './checks/agent.ts'
import {type Check, failed, ok} from './checks/check.ts'
import {checkCluster} from './checks/cluster.ts'
import {type CniPlace, checkCni, hostRoot} from './checks/cni.ts'
import {checkKernel} from './checks/kernel.ts'
import {checkMtu} from './checks/mtu.ts'
import {checkPaths} from './checks/path.ts'
import {peersOf} from './checks/peers.ts'
import {checkPorts} from './checks/ports.ts'

export interface CheckOptions extends CniPlace {
  readonly config: Config
  readonly env: NodeJS.ProcessEnv
  readonly version: string
  /** Packets of full size are sent to all of them. @default a sample */
  readonly allPeers?: boolean
}

export async function runChecks(options: CheckOptions): Promise<readonly Check[]> {
  const {config, env, version} = options
  const status = await ask(adminSocketPath(config), 'status').catch((error: Error) => error)
  const known: AdminStatus | undefined = status instanceof Error ? undefined : status
  return [
    ...(await guarded('kernel', () => checkNode(options, known))),
    ...(await guarded('CNI plugin', async () => checkCni(config, options, await hostRoot()))),
    ...(await guarded('state folder', () => checkRoom(config.folders.state))),
    ...(await guarded('API server', () => checkCluster(config, env, known?.node, known?.api))),
    ...(known ? checkAgent(known, version) : [failed('agent', (status as Error).message)]),
  ]
}

/** What breaks one look must not keep the others from being told. */
const guarded = (name: string, look: () => Promise<Check[]>): Promise<Check[]> =>
  look().catch(error => [failed(name, `it cannot be looked at: ${(error as Error).message}; run this as root`)])

async function checkNode({config, env, allPeers}: CheckOptions, status: AdminStatus | undefined): Promise<Check[]> {
  const kernel = await Kernel.open()
  try {
    const state = new MutableKernelState(await kernelSource(kernel).snapshot())
    /** An agent of another version may not know of it. */
    const told = <K extends 'nodes' | 'pairs'>(what: K): Promise<AdminAnswers[K] | undefined> =>
      status ? ask(adminSocketPath(config), what).catch(() => undefined) : Promise.resolve(undefined)
    const peers = peersOf({config, state, status, nodes: await told('nodes'), pairs: await told('pairs')})
    return [
      ...(await checkKernel(namespaceKernel(kernel), config, env.PATH ?? '')),
      ...(await checkPorts(config, [...state.links.values()])),
      ...checkMtu(state),
      ...(await checkPaths(peers, allPeers ?? false)),
    ]
  } finally {
    kernel.close()
  }
}

/** Bytes. Pods cannot start when the journal cannot be written. */
const ROOM = 16 << 20

async function checkRoom(folder: string): Promise<Check[]> {
  const newer = await newerState(folder)
  if (newer !== undefined) return [failed('state folder', newer)]
  try {
    const {bavail, bsize, ffree, files} = await statfs(folder)
    const [mebibytes, isFull] = [
      Math.floor((bavail * bsize) / 2 ** 20),
      bavail * bsize < ROOM || (files > 0 && ffree < 100),
    ]
    return isFull
      ? [
          failed(
            'state folder',
            `the file system of ${folder} is full (${mebibytes} MiB, ${ffree} files left), and no pod can start; make room`,
          ),
        ]
      : [ok('state folder', `${folder} has ${mebibytes} MiB left`)]
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException
    return code === 'ENOENT'
      ? [failed('state folder', `${folder} is not there: no agent has run here with this configuration; start it`)]
      : [failed('state folder', `${folder} cannot be looked at: ${message}; run this as root`)]
  }
}
