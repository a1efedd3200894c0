/**
 * Stand-ins for the folder that KUBEBUILDER_ASSETS names, as programs: `node support-assets.ts kube-apiserver|etcd <flags>`.
 * They insist on the flags that the real ones need, and the API server on its token and TLS.
 */
import {spawnSync} from 'node:child_process'
import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import {join} from 'node:path'
import {startApiServer} from '../../src/lab/apiserver/server.ts'

/** Fills a folder. etcd is the real one where it is installed. */
export function writeAssets(folder: string): string {
  mkdirSync(folder, {recursive: true})
  const hasEtcd = spawnSync('etcd', ['--version']).status === 0
  for (const name of ['etcd', 'kube-apiserver']) {
    const stand = `${process.execPath} ${import.meta.filename} ${name}`
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${name === 'etcd' && hasEtcd ? 'etcd' : stand} "$@"\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return folder
}

function flagsOf(args: readonly string[]): (name: string) => string {
  const flags = new Map(args.map(arg => [arg.slice(2, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)]))
  return name => {
    const value = flags.get(name)
    if (value === undefined) throw new Error(`--${name} is required`)
    return value
  }
}

async function kubeApiServer(flag: (name: string) => string): Promise<void> {
  const health = await fetch(`${flag('etcd-servers')}/health`)
  if (!health.ok) throw new Error(`etcd: ${health.status}`)
  for (const name of ['service-account-key-file', 'service-account-signing-key-file']) {
    if (!readFileSync(flag(name), 'utf8').includes('PRIVATE KEY')) throw new Error(`${name} holds no key`)
  }
  flag('service-account-issuer')
  flag('service-cluster-ip-range')
  const [token, , , group] = readFileSync(flag('token-auth-file'), 'utf8').trim().split(',')
  if (group !== '"system:masters"') throw new Error(`${group} may not do anything`)
  const certificates = flag('cert-dir')
  mkdirSync(certificates, {recursive: true})
  const [key, cert] = [join(certificates, 'apiserver.key'), join(certificates, 'apiserver.crt')]
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a']
  spawnSync('openssl', [...request, '-keyout', key, '-out', cert])
  await startApiServer({
    host: flag('bind-address'),
    port: Number(flag('secure-port')),
    tls: {key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8')},
    tokens: () => new Set([token!]),
    gracefulPods: true,
  })
}

if (import.meta.main) {
  const [name, ...args] = process.argv.slice(2)
  const flag = flagsOf(args)
  if (name === 'kube-apiserver') await kubeApiServer(flag)
  else
    createServer((_, response) => response.end('{"health":"true"}')).listen(
      Number(new URL(flag('listen-client-urls')).port),
    )
}
