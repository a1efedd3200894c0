/** `netgraft support-bundle`: everything that helps to understand a node from afar, in one file, without secrets. */
import {open, unlink} from 'node:fs/promises'
import {hostname} from 'node:os'
import {promisify} from 'node:util'
import {gzip} from 'node:zlib'
import {plainConfig} from '../agent/admin-config.ts'
import {agentParts} from './bundle/agent.ts'
import {fileParts} from './bundle/files.ts'
import {kernelParts} from './bundle/kernel.ts'
import {type Collected, collect, type Parts} from './bundle/parts.ts'
import {knownSecrets} from './bundle/secrets.ts'
import {tar} from './bundle/tar.ts'
import {type CheckOptions, runChecks} from './check.ts'
import {formatChecks} from './text/check.ts'
import {render} from './text/text.ts'

export interface Bundle {
  /** A .tar.gz. */
  readonly bytes: Buffer
  readonly missing: Collected['missing']
}

/** Of the file without its ending, and of the folder inside. */
export function bundleName(env: NodeJS.ProcessEnv, now: Date): string {
  const node = (env.NODE_NAME || hostname()).replace(/[^\w.-]/g, '_').slice(0, NODE_MAX)
  return `netgraft-support-${node}-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`
}

/** Characters: what is left of a name in the archive. */
const NODE_MAX = 40

/** `problem`: the configuration cannot be used, for this reason, and what is asked for goes by the defaults. */
export async function makeBundle(name: string, options: CheckOptions, problem?: Error): Promise<Bundle> {
  const {config, env} = options
  const secrets = await knownSecrets(config, env)
  const {files, missing} = await collect(
    {
      ...agentParts(config),
      ...checkParts(options),
      ...fileParts(options),
      ...kernelParts(env.PATH ?? ''),
      'config.json': async () => {
        if (problem) throw problem
        return plainConfig(config)
      },
    },
    secrets,
  )
  const about = {name: 'README.txt', bytes: Buffer.from(readme(missing))}
  const all = [about, ...files].map(file => ({...file, name: `${name}/${file.name}`}))
  return {bytes: await promisify(gzip)(tar(all, Date.now())), missing}
}

function checkParts(options: CheckOptions): Parts {
  let checks: ReturnType<typeof runChecks> | undefined
  const once = () => (checks ??= runChecks(options))
  return {
    'check.json': async () => ({checks: await once()}),
    'check.txt': async () => render(formatChecks(await once()), false),
  }
}

const readme = (missing: Collected['missing']): string => `What netgraft support-bundle has found on this node.

status, routes, attachments, pairs, plan, check: as the commands of these names show it (.txt), and as -o json has it
nodes, metrics, log: what the agent knows of nodes, what /metrics answers, what it has last said
config: the configuration file as this command reads it; config-in-force: as the agent runs with it
journal: who has been attached, without what plugins were told; folders: what is in the agent's folders
kernel/: links, addresses, the main routing table, neighbours, forwarding entries, rules; our nft table; sysctls; modules
cni/: the runtime's plugins and configurations, of these only our own with its content
version: of this program, Node.js and the kernel

Passwords, tokens and private keys are written as (hidden). Names and addresses of pods and nodes are not.

${missing.size === 0 ? 'Nothing is missing.' : 'Missing:'}
${[...missing].map(each => `${missingText(each)}\n`).join('')}`

/** "a.json, b.txt: why". */
export const missingText = ([why, files]: readonly [string, readonly string[]]): string => `${files.join(', ')}: ${why}`

/** For root alone, never in the place of another file, and no half of one. Rejects with a sentence, or as `make` does. */
export async function writeBundle(path: string, make: () => Promise<Buffer>): Promise<void> {
  const failure = ({code}: NodeJS.ErrnoException): Error =>
    new Error(
      code === 'EEXIST'
        ? `${path} is there already; remove it, or name another file with --output`
        : `${path} cannot be written (${code}); name another file with --output, or - for standard output`,
    )
  const file = await open(path, 'wx', 0o600).catch(error => Promise.reject(failure(error)))
  try {
    const bytes = await make()
    await file.writeFile(bytes).catch(error => Promise.reject(failure(error)))
  } catch (error) {
    await unlink(path).catch(() => undefined)
    throw error
  } finally {
    await file.close()
  }
}
