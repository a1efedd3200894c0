/** The real kube-apiserver on the real etcd, started as controller-runtime's envtest does. */
import type {ChildProcess} from 'node:child_process'
import {generateKeyPairSync, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {mkdir, open, readFile, writeFile} from 'node:fs/promises'
import {get as httpGet} from 'node:http'
import {get as httpsGet} from 'node:https'
import {type AddressInfo, createServer} from 'node:net'
import {join} from 'node:path'
import {stringify} from 'yaml'
import {sleep} from '../streams/lifetime.ts'
import type {ControlPlane} from './control-plane.ts'
import {servePipe} from './pipe.ts'
import type {Run} from './run.ts'

/** Milliseconds until a server that does not answer is an error. */
const PATIENCE = 60_000
const STOP_PATIENCE = 5_000

export async function startKubeApiServer(
  run: Run,
  assets: string,
  socketPath: string,
  signal: AbortSignal,
): Promise<ControlPlane> {
  const folder = join(run.folder, 'control-plane')
  await mkdir(folder)
  const [etcdPort, port] = await freePorts(2)
  const etcdUrl = `http://127.0.0.1:${etcdPort}`
  const url = `https://127.0.0.1:${port}`
  const token = randomBytes(16).toString('hex')
  const files = await writeFiles(folder, token)

  const etcd = await startServer(run, assets, 'etcd', etcdFlags({url: etcdUrl, folder}))
  await answers(etcd, `${etcdUrl}/health`, {}, signal)
  const flags = kubeApiServerFlags({etcdUrl, port: port!, folder, ...files})
  const server = await startServer(run, assets, 'kube-apiserver', flags)
  await answers(server, `${url}/readyz`, {authorization: `Bearer ${token}`}, signal)
  const pipe = await servePipe({path: socketPath}, {host: '127.0.0.1', port: port!})
  return {
    name: 'kube-apiserver',
    url,
    socketPath,
    kubeconfig: (via = url) => kubeconfig(via, token),
    async stop() {
      pipe.close()
      await stopServer(server)
      await stopServer(etcd)
    },
  }
}

/** https://etcd.io/docs/v3.5/op-guide/configuration/ */
export function etcdFlags({url, folder}: {url: string; folder: string}): string[] {
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    // Nobody joins: any port will do.
    '--listen-peer-urls=http://127.0.0.1:0',
  ]
}

export interface KubeApiServerSettings {
  readonly etcdUrl: string
  readonly port: number
  readonly folder: string
  readonly keyFile: string
  readonly tokenFile: string
}

/** https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ */
export function kubeApiServerFlags({etcdUrl, port, folder, keyFile, tokenFile}: KubeApiServerSettings): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    // It makes its own certificate there.
    `--cert-dir=${join(folder, 'certificates')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--service-account-issuer=https://netgraft.invalid',
    `--service-account-key-file=${keyFile}`,
    `--service-account-signing-key-file=${keyFile}`,
    `--token-auth-file=${tokenFile}`,
    '--authorization-mode=RBAC',
    // It would wait for service accounts, which the controller manager makes.
    '--disable-admission-plugins=ServiceAccount',
    '--allow-privileged=true',
  ]
}

async function writeFiles(folder: string, token: string): Promise<{keyFile: string; tokenFile: string}> {
  const keyFile = join(folder, 'service-account.key')
  const tokenFile = join(folder, 'tokens.csv')
  const {privateKey} = generateKeyPairSync('rsa', {modulusLength: 2048})
  await writeFile(keyFile, privateKey.export({type: 'pkcs1', format: 'pem'}), {mode: 0o600})
  // Token, user, uid, groups: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
  await writeFile(tokenFile, `${token},lab,lab,"system:masters"\n`, {mode: 0o600})
  return {keyFile, tokenFile}
}

interface Running {
  readonly name: string
  readonly child: ChildProcess
  readonly logFile: string
}

async function startServer(run: Run, assets: string, name: string, flags: readonly string[]): Promise<Running> {
  const logFile = join(run.folder, `${name}.log`)
  const log = await open(logFile, 'a')
  try {
    const child = await run.spawn(join(assets, name), flags, {stdio: ['ignore', log.fd, log.fd]})
    return {name, child, logFile}
  } catch (error) {
    throw new Error(`${join(assets, name)} cannot be started: ${(error as Error).message}`, {cause: error})
  } finally {
    await log.close()
  }
}

async function answers(server: Running, url: string, headers: Record<string, string>, signal: AbortSignal) {
  const deadline = performance.now() + PATIENCE
  while ((await statusOf(url, headers)) !== 200) {
    signal.throwIfAborted()
    const {exitCode, signalCode} = server.child
    const ended = exitCode ?? signalCode
    if (ended === null && performance.now() < deadline) await sleep(100, signal)
    else {
      const tail = (await readFile(server.logFile, 'utf8')).trimEnd().split('\n').slice(-10).join('\n')
      throw new Error(`${server.name} ${ended === null ? 'does not get ready' : `ended (${ended})`}:\n${tail}`)
    }
  }
}

function statusOf(url: string, headers: Record<string, string>): Promise<number> {
  const get = url.startsWith('https:') ? httpsGet : httpGet
  return new Promise(resolve => {
    const request = get(url, {headers, agent: false, rejectUnauthorized: false, timeout: 2000}, answer => {
      answer.resume()
      resolve(answer.statusCode!)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(0))
  })
}

async function stopServer({child}: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE)
  await ended
  clearTimeout(late)
}

/** Held open together, so that they are different ones. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({length: count}, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}

/** The certificate names neither the relay nor an authority. */
function kubeconfig(server: string, token: string): string {
  const cluster = {server, 'insecure-skip-tls-verify': true}
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'lab', cluster}],
    users: [{name: 'lab', user: {token}}],
    contexts: [{name: 'lab', context: {cluster: 'lab', user: 'lab'}}],
    'current-context': 'lab',
  })
}
