/** Attachments for tests of the journal, and what a new agent finds of them. */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {type Entry, type Journal, openJournal, type Plan} from '../../src/cni/journal.ts'
import type {CniResult} from '../../src/cni/result.ts'
import {openFiles} from '../../src/netlink/files.ts'

export const KEY = {containerId: 'c1', ifname: 'eth0'}

export const planOf = (key: Partial<Plan> = {}): Plan => ({
  ...KEY,
  request: '0'.repeat(32),
  netns: '/run/netns/x',
  sandbox: '4:1',
  boot: 'b',
  args: 'K8S_POD_NAME=ü;X=a\nb',
  path: ['/opt/cni/bin'],
  pod: {namespace: 'ns', name: 'web-0'},
  network: 'pods',
  list: {cniVersion: '1.0.0', name: 'pods', plugins: [{type: 'ptp', ipam: {type: 'node-local'}}]},
  at: 1,
  ...key,
})

export const RESULT: CniResult = {
  interfaces: [{name: 'eth0', sandbox: '/run/netns/x'}],
  ips: [{address: '10.1.2.3/24', gateway: '10.1.2.1', interface: 0}],
  routes: [{dst: '0.0.0.0/0'}],
  dns: {},
}

export async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-journal-'))
  t.teardown(() => rm(folder, {recursive: true, force: true, maxRetries: 5}))
  return folder
}

/** Opens it, and fails the test when anything is told. */
export const openQuietly = (t: ExecutionContext, folder: string): Promise<Journal> =>
  openFiles().then(files => {
    t.teardown(() => files.close())
    return openJournal(folder, files, problem => t.fail(problem))
  })

/** What a new agent finds. */
export const reopened = async (t: ExecutionContext, folder: string): Promise<Entry[]> => [
  ...(await openQuietly(t, folder)).entries.values(),
]
