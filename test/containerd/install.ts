/** Netgraft on a containerd's host, as `netgraft install` leaves it. */
import {setTimeout as sleep} from 'node:timers/promises'
import {NODE_FLAGS} from '../../src/lab/node-flags.ts'
import {BUNDLE, run, type TestNode} from '../agent/support/node.ts'
import type {Containerd} from './containerd.ts'

/** `netgraft <verb>` for this host's folders: its output. */
export async function netgraft(verb: 'install' | 'uninstall', {binFolder, confFolder}: Containerd, node: TestNode) {
  const folders = ['--cni-bin', binFolder, '--cni-conf', confFolder]
  const config = verb === 'install' ? ['--config', node.agent.config] : []
  const {stdout} = await run(process.execPath, [...NODE_FLAGS, BUNDLE, verb, ...folders, ...config])
  return stdout
}

/** Until the runtime says that it has a network. */
export async function install(containerd: Containerd, node: TestNode): Promise<void> {
  await netgraft('install', containerd, node)
  await until(async () => (await containerd.cri.status({})).status.conditions.every(({status}) => status))
}

export async function until(condition: () => unknown): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never came true: ${condition}`)
    await sleep(50)
  }
}
