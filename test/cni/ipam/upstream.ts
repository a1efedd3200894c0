/** The upstream IPAM programs beside ours, each with its own folder of leases. */
import {execFile} from 'node:child_process'
import {mkdtemp, readdir, readFile, rm, stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {CniError} from '../../../src/cni/error.ts'
import type {NativePlugin, PluginCall, PluginConfig} from '../../../src/cni/plugin.ts'
import type {CniResult} from '../../../src/cni/result.ts'
import {fileLocks} from '../../../src/netlink/file-lock.ts'

/** Where Debian's containernetworking-plugins are. */
const PROGRAMS = '/usr/lib/cni'

export type Verb = 'ADD' | 'DEL' | 'CHECK'

export interface Request {
  readonly verb: Verb
  readonly id?: string
  readonly ifname?: string
  readonly args?: string
  readonly config: PluginConfig
}

/** What came of a request: the result of ADD as of 1.0.0, {} of the other verbs, or an error. */
export type Outcome = {readonly ok: unknown} | {readonly error: string}

/** Absent keys of a result are empty ones. */
const told = ({ips = [], routes = [], dns = {}}: Partial<CniResult>) => ({ips, routes, dns})

export const callOf = ({id = 'c1', ifname = 'eth0', args = '', config}: Omit<Request, 'verb'>): PluginCall => ({
  containerId: id,
  netns: '/var/run/netns/none',
  ifname,
  args,
  path: [PROGRAMS],
  config,
  sandbox: undefined,
  signal: AbortSignal.timeout(300_000),
  later: () => {},
})

/** Anything but a CniError is thrown on. */
export async function ours(plugin: NativePlugin, request: Request): Promise<Outcome> {
  const call = callOf(request)
  try {
    if (request.verb === 'ADD') return {ok: told(JSON.parse(JSON.stringify(await plugin.add(call))))}
    await (request.verb === 'DEL' ? plugin.del(call) : plugin.check(call))
    return {ok: {}}
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    return {error: error.message}
  }
}

export const theirs = (
  type: string,
  {verb, id = 'c1', ifname = 'eth0', args = '', config}: Request,
): Promise<Outcome> =>
  new Promise(resolve => {
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: id,
      CNI_NETNS: '/var/run/netns/none',
      CNI_IFNAME: ifname,
      CNI_PATH: PROGRAMS,
      CNI_ARGS: args,
    }
    const program = execFile(join(PROGRAMS, type), {env}, (error, stdout) => {
      if (error) resolve({error: stdout === '' ? error.message : JSON.parse(stdout).msg})
      else resolve({ok: verb === 'ADD' ? told(JSON.parse(stdout)) : {}})
    })
    program.stdin?.on('error', () => {})
    program.stdin?.end(JSON.stringify(config))
  })

/** Removed with the test. Files may still come into it while that goes on. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-ipam-'))
  t.teardown(() => rm(folder, {recursive: true, force: true, maxRetries: 10}))
  return folder
}

/** Waits until nobody works in the folder, then: file, mode and content, a line each. */
export async function leasesIn(folder: string): Promise<string[]> {
  const lock = await fileLocks.acquire(join(folder, 'lock'), AbortSignal.timeout(300_000)).catch(() => undefined)
  try {
    const names = await readdir(folder).catch(() => [])
    return await Promise.all(
      names.sort().map(async name => {
        const about = await stat(join(folder, name))
        const content = about.isFile() ? JSON.stringify(await readFile(join(folder, name), 'utf8')) : 'folder'
        return `${name} ${(about.mode & 0o777).toString(8)} ${content}`
      }),
    )
  } finally {
    await lock?.release()
  }
}
