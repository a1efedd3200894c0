/**
 * What this node's networks were called and which marks (`rtm_protocol`) their routes had: `networks.json` in the state
 * folder, so that an agent whose configuration has changed knows what is left of the one before.
 */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {NetworkName} from '../model/config-network.ts'
import {replaceFile} from './whole-file.ts'

export const NETWORKS_FILE = 'networks.json'
export const NETWORKS_VERSION = 1

export interface NetworkRecord {
  readonly name: NetworkName
  /** `rtm_protocol`. */
  readonly protocol: number
}

/** Empty: no agent has run here, or what there is cannot be read. */
export async function readNetworks(folder: string): Promise<readonly NetworkRecord[]> {
  try {
    const {networks} = JSON.parse(await readFile(join(folder, NETWORKS_FILE), 'utf8')) as {networks?: unknown}
    return (networks as readonly NetworkRecord[]).filter(
      ({name, protocol}) => typeof name === 'string' && Number.isInteger(protocol) && protocol >= 5 && protocol <= 255,
    )
  } catch {
    return []
  }
}

/** Whole whenever the process or the machine ends. Rejects with what the system says. */
export async function writeNetworks(folder: string, networks: readonly NetworkRecord[]): Promise<void> {
  const text = `${JSON.stringify({version: NETWORKS_VERSION, networks})}\n`
  const path = join(folder, NETWORKS_FILE)
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return
  await replaceFile(path, [text])
}
