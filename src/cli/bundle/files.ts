/** What is on disk: the journal's headers, the state folder, the CNI plugins and the conflist. */
import {createHash} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {readdir, readFile, stat} from 'node:fs/promises'
import {arch, release, version} from 'node:os'
import {join} from 'node:path'
import {pipeline} from 'node:stream/promises'
import {configurations} from '../../install/folders.ts'
import {ownConflists} from '../../install/plan.ts'
import type {Config} from '../../model/config.ts'
import {type CniPlace, hostRoot} from '../checks/cni.ts'
import type {Parts} from './parts.ts'
import {withoutSecrets} from './secrets.ts'

/** Of one folder. */
const MANY = 10_000

export interface FilesAsked extends CniPlace {
  readonly config: Config
  readonly version: string
}

export function fileParts({config, binFolder, confFolder, version: netgraft}: FilesAsked): Parts {
  const {state, run} = config.folders
  return {
    'version.json': async () => ({
      ...{netgraft, node: process.version, kernel: release(), build: version(), arch: arch()},
      time: new Date().toISOString(),
    }),
    'kernel/modules.txt': () => readFile('/proc/modules', 'utf8').catch(() => 'this kernel loads no modules\n'),
    'journal.json': () => journalHeaders(join(state, 'journal')),
    'folders.json': async () => ({[state]: await list(state), [run]: await list(run)}),
    'cni/programs.json': async () => programs(join(await hostRoot(), binFolder)),
    'cni/conf.json': async () => {
      const folder = join(await hostRoot(), confFolder)
      const own = await ownConflists(folder)
      return {
        // Others' may hold whatever their makers needed: only that they are there.
        order: await configurations(folder),
        own: own.map(({path, file}) => ({
          path: path.slice(folder.length + 1),
          content: withoutSecrets(JSON.parse(file.content.toString())),
        })),
      }
    },
  }
}

/** Of each attachment who and since when; what plugins were told may hold secrets. */
async function journalHeaders(folder: string): Promise<unknown> {
  const names = (await readdir(folder)).sort()
  const headers: object[] = []
  for (const name of names.slice(0, MANY)) headers.push(await headerOf(join(folder, name), name))
  return {files: names.length, headers}
}

interface FirstLine {
  readonly version?: unknown
  readonly containerId?: unknown
  readonly ifname?: unknown
  readonly netns?: unknown
  readonly network?: unknown
  readonly pod?: unknown
  readonly at?: unknown
  readonly list?: {readonly name?: unknown; readonly plugins?: readonly {readonly type?: unknown}[]}
}

async function headerOf(path: string, name: string): Promise<object> {
  try {
    const [bytes, {mtime}] = await Promise.all([readFile(path), stat(path)])
    const [first = '', ...rest] = bytes.toString('utf8').split('\n').filter(Boolean)
    const about = {name, bytes: bytes.length, modified: mtime.toISOString()}
    const parsed = JSON.parse(first) as FirstLine & {readonly plan?: FirstLine}
    const {containerId, ifname, netns, network, pod, at, list} = {...parsed, ...parsed.plan}
    const types = list?.plugins?.map(({type}) => type)
    const turns = rest.map(line => /^\{"(\w+)"/.exec(line)?.[1] ?? '?')
    return {...about, version: parsed.version, containerId, ifname, netns, network, pod, at, types, turns}
  } catch (error) {
    return {name, unreadable: (error as Error).message.replace(/".*"/s, '…')}
  }
}

async function list(folder: string): Promise<unknown> {
  const entries = await readdir(folder, {withFileTypes: true, recursive: true}).catch(({code}) => code as string)
  if (typeof entries === 'string') return entries
  const files = entries.slice(0, MANY).map(async entry => {
    const path = join(entry.parentPath, entry.name)
    const about = await stat(path).catch(() => undefined)
    return {
      path: path.slice(folder.length + 1),
      ...(about && {bytes: about.size, mode: (about.mode & 0o7777).toString(8), modified: about.mtime.toISOString()}),
    }
  })
  return {files: entries.length, entries: await Promise.all(files)}
}

async function programs(folder: string): Promise<unknown> {
  const names = (await readdir(folder)).sort()
  const found: object[] = []
  for (const name of names.slice(0, MANY)) {
    const path = join(folder, name)
    const about = await stat(path).catch(() => undefined)
    if (!about?.isFile()) continue
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    const [bytes, mode, modified] = [about.size, (about.mode & 0o7777).toString(8), about.mtime.toISOString()]
    found.push({name, bytes, mode, modified, sha256: hash.digest('hex')})
  }
  return found
}
