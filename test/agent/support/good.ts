/** A network that works, beside what tests bring along. Needs root. */
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {bridgeConf, type Networks, startNetworks} from './networks.ts'

/** What a pod's status says that has it as g. */
export const GOOD = 'attached default/good g'

export function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'ng-input-'))
  t.teardown(() => rmSync(made, {recursive: true, force: true, maxRetries: 5}))
  return made
}

export const conf = (dataDir: string, name: string, subnet: string, more: object = {}) =>
  bridgeConf(name, subnet, {ipam: {type: 'host-local', dataDir, ranges: [[{subnet}]]}, ...more})

/** With the network "good". */
export async function startGood(
  t: ExecutionContext,
  attachments: object = {},
): Promise<{networks: Networks; dir: string}> {
  const dir = folder(t)
  const config = {attachments: {definitionsFolder: join(dir, 'net.d'), ...attachments}}
  const networks = await startNetworks(t, {config})
  mkdirSync(join(dir, 'net.d'))
  networks.define('good', conf(dir, 'good', '10.9.0.0/24'))
  return {networks, dir}
}
