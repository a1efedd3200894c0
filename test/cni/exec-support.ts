/** Folders of little plugins, and calls to them. */
import {chmod, mkdtemp, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import type {ListCall} from '../../src/cni/list.ts'
import type {PluginCall} from '../../src/cni/plugin.ts'

type Test = Pick<ExecutionContext<unknown>, 'teardown'>

/** What sh and the programs of the tests need. */
export const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Debian's containernetworking-plugins. */
export const UPSTREAM = '/usr/lib/cni'

export async function temporary(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-exec-'))
  t.teardown(() => rm(folder, {recursive: true, force: true, maxRetries: 5}))
  return folder
}

/** A folder with plugins of test/cni/plugins: name → which of them. */
export async function plugins(t: Test, programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporary(t)
  for (const [name, program] of Object.entries(programs))
    await symlink(new URL(`plugins/${program}`, import.meta.url).pathname, join(folder, name))
  return folder
}

export async function script(folder: string, name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), text)
  await chmod(join(folder, name), 0o755)
}

export const listCall = (overrides: Partial<ListCall> = {}): ListCall => ({
  containerId: 'ng-container',
  netns: '/run/netns/ng-none',
  ifname: 'eth0',
  args: 'IgnoreUnknown=1;K8S_POD_NAME=web-0',
  path: [],
  sandbox: undefined,
  signal: new AbortController().signal,
  later: () => {},
  ...overrides,
})

export const pluginCall = (config: object, overrides: Partial<PluginCall> = {}): PluginCall => ({
  ...listCall(overrides),
  config: {cniVersion: '1.0.0', name: 'test', type: 'record', ...config},
})

/** What `record` has noted: verb, plugin, config. */
export async function calls(
  folder: string,
): Promise<{verb: string; plugin: string; config: Record<string, unknown>}[]> {
  const text = await readFile(join(folder, 'calls'), 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [verb, plugin] = line.split(' ', 2) as [string, string]
      return {verb, plugin, config: JSON.parse(line.slice(verb.length + plugin.length + 2))}
    })
}

/** The leader and the child that a script has noted. They are killed with the test. */
export async function noted(t: Test, folder: string): Promise<[number, number]> {
  for (;;) {
    const text = await readFile(join(folder, 'pids'), 'utf8').catch(() => '')
    if (text !== '') {
      const pids = text.trim().split(' ').map(Number) as [number, number]
      for (const pid of pids) t.teardown(() => kill(pid))
      return pids
    }
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

async function kill(pid: number): Promise<void> {
  if (await isSleeping(pid)) process.kill(pid, 'SIGKILL')
}

/** Whether it still is what the scripts have started. */
async function isSleeping(pid: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return line.startsWith('sleep\u00001000') || line.includes('ng-exec-')
}

/** A zombie that nobody has waited for yet is gone, too. */
export async function gone(pid: number): Promise<void> {
  for (;;) {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
    if (status === undefined || /\) [ZX] /.test(status)) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** A folder with upstream's plugins, which take that namespace for the host's. */
export async function upstreamIn(t: Test, host: {readonly name: string}): Promise<string> {
  const folder = await temporary(t)
  for (const name of ['bandwidth', 'bridge', 'firewall', 'host-local', 'macvlan', 'portmap', 'ptp', 'static', 'tuning'])
    await script(folder, name, `#!/bin/sh\nexec ip netns exec ${host.name} ${UPSTREAM}/${name}\n`)
  return folder
}
