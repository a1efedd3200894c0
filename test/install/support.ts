/** A host's two folders in a temporary one, shims of several versions, and all that a folder holds as text. */
import {createHash} from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import type {InstallOptions} from '../../src/install/install.ts'
import {fileLocks} from '../../src/netlink/file-lock.ts'

export const CONF = '05-netgraft.conflist'

/** What a runtime finds on a node with another network. */
export const FOREIGN = {
  cniVersion: '0.3.1',
  name: 'cbr0',
  plugins: [
    {type: 'flannel', delegate: {hairpinMode: true, isDefaultGateway: true}},
    {type: 'portmap', capabilities: {portMappings: true}},
  ],
}

export function temporary(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ng-install-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  return folder
}

/** ELF's first bytes, and the mark. */
export const shimBytes = (version: string): Buffer =>
  Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(5000, version), Buffer.from('\0netgraft-cni-shim\0')])

export interface Host extends InstallOptions {
  readonly root: string
}

/** `bin` and `conf` are there and empty. */
export function hostIn(root: string, more: Partial<InstallOptions> = {}): Host {
  const shim = join(root, 'netgraft-cni')
  writeFileSync(shim, shimBytes('1'))
  const [binFolder, confFolder] = [join(root, 'bin'), join(root, 'conf')]
  for (const folder of [binFolder, confFolder]) mkdirSync(folder, {recursive: true})
  return {
    root,
    shim,
    binFolder,
    confFolder,
    confName: CONF,
    keepDefault: false,
    anyOrder: false,
    socket: '/run/netgraft/cni.sock',
    spool: '/var/lib/netgraft/spool',
    locks: fileLocks,
    ...more,
  }
}

export const hostOf = (t: ExecutionContext, more?: Partial<InstallOptions>): Host => hostIn(temporary(t), more)

export function program(path: string, mode = 0o755): void {
  writeFileSync(path, '#!/bin/sh\n')
  chmodSync(path, mode)
}

export const writeJson = (path: string, value: unknown): void => writeFileSync(path, JSON.stringify(value))

export const readConflist = (host: Host, name = CONF) => JSON.parse(readFileSync(join(host.confFolder, name), 'utf8'))

export const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8)

/** Bytes. What is in such a file is not looked at. */
const HUGE = 2 ** 30

/** One line for each thing in it, with `identity` also which file it is, not only what is in it. */
export function everything(folder: string, {identity = false} = {}): string[] {
  const lines: string[] = []
  for (const name of readdirSync(folder, {recursive: true, encoding: 'utf8'}).sort()) {
    const path = join(folder, name)
    const about = lstatSync(path)
    const what = about.isSymbolicLink()
      ? `-> ${readlinkSync(path)}`
      : about.isFile() && about.size < HUGE
        ? createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)
        : ''
    lines.push(`${name} ${about.mode.toString(8)} ${about.uid} ${what}${identity ? ` ${about.ino}` : ''}`)
  }
  return lines
}

/** Of the host's two folders, as far as they are there. */
export const stateOf = (host: Host, options?: {identity: boolean}): string[] =>
  everything(host.root, options).filter(line => /^(bin|conf)\b/.test(line))
