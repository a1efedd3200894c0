/** The agent out of exactly the image's files, with exactly the mounts and capabilities of the manifests. Needs root. */
import {execFileSync} from 'node:child_process'
import {existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {docFolder, packagesOf, readBundled} from '../../scripts/sbom/npm.ts'
import {makePki} from '../agent/support/etcd-tls.ts'
import {Networks} from '../agent/support/networks.ts'
import {startNode, type TestNode} from '../agent/support/node.ts'
import {type Host, runContainer, startContainer, stopContainer} from './support/container.ts'
import {containerOf, type Manifest, OVERLAYS, podSpec, render} from './support/manifests.ts'
import {assemble, type Image} from './support/tree.ts'

let image: Image
test.before(async () => {
  image = await assemble()
})
test.after.always(() => image?.remove())

/** Everything below, links not followed. */
const filesOf = (folder: string): string[] =>
  readdirSync(folder, {withFileTypes: true}).flatMap(entry =>
    entry.isDirectory()
      ? [entry.name, ...filesOf(join(folder, entry.name)).map(path => join(entry.name, path))]
      : entry.name,
  )

test('there is nothing in it but what the agent needs, and nothing that can be written', t => {
  const executables = filesOf(image.folder).filter(path => {
    const about = lstatSync(join(image.folder, path))
    return about.isFile() && (about.mode & 0o111) !== 0 && !/\.so\b/.test(path)
  })
  t.deepEqual(executables.filter(path => !path.startsWith('usr/lib/')).sort(), [
    'usr/bin/env',
    'usr/bin/node',
    'usr/bin/nsenter',
    'usr/sbin/nft',
  ])
  const writable = filesOf(image.folder).filter(path => {
    const about = lstatSync(join(image.folder, path))
    return !about.isSymbolicLink() && ((about.mode & 0o222) !== 0 || about.uid !== 0)
  })
  t.deepEqual(writable, [])
  t.is(lstatSync(image.folder).mode & 0o222, 0)
})

test('each library and program comes with its licence, and so does each package that is bundled', t => {
  const doc = join(image.folder, 'usr/share/doc')
  const debs = readdirSync(join(image.folder, 'var/lib/dpkg/status.d'))
  t.true(
    ['libc6', 'nftables', 'util-linux', 'libstdc++6'].every(name => debs.includes(name)),
    debs.join(),
  )
  for (const name of debs) t.true(statSync(join(doc, name, 'copyright')).size > 0, name)
  for (const name of ['LICENSE', 'LICENSE.node', 'copyright.musl'])
    t.true(existsSync(join(doc, 'netgraft', name)), name)
  const bundled = join(doc, 'netgraft', 'bundled')
  const packages = packagesOf(readBundled())
  t.true(packages.length > 0)
  for (const each of packages) {
    const names = readdirSync(join(bundled, docFolder(each)))
    t.true(
      names.some(name => /^(licen[cs]e|copying)/i.test(name)),
      each.key,
    )
    t.is(JSON.parse(readFileSync(join(bundled, docFolder(each), 'package.json'), 'utf8')).version, each.version)
  }
})

test('it is refused where there is something already', t => {
  const error = t.throws(() => execFileSync('scripts/image-tree', [image.folder], {stdio: 'pipe'}))
  t.regex(String(error?.message), /is there and not an empty folder; name another one/)
})

test('there is a folder for everything that the manifests mount', t => {
  for (const folder of [...OVERLAYS.map(name => `overlays/${name}`), 'uninstall']) {
    const pod = podSpec(render(folder))
    const paths = [...pod.initContainers, ...pod.containers].flatMap(({volumeMounts = []}) => volumeMounts)
    for (const {mountPath} of paths) t.true(statSync(join(image.folder, mountPath)).isDirectory(), mountPath)
  }
})

interface Prepared {
  readonly node: TestNode
  readonly networks: Networks
  readonly host: Host
}

/** A node "a" beside "b", whose agent is not started yet, with the overlay's files and an API server with TLS. */
async function prepare(t: ExecutionContext, manifests: readonly Manifest[]): Promise<Prepared> {
  const {server} = await makePki(t)
  const tls = {key: readFileSync(server.key, 'utf8'), cert: readFileSync(server.cert, 'utf8')}
  const node = await startNode(t, {
    start: false,
    api: {tls, tokens: () => new Set(['the-token'])},
    nodes: ['a 10.64.1.0/24 fd00:64:1::/64 via 192.168.0.1 fd00:100::1', 'b 10.64.2.0/24 via 192.168.0.2'],
  })
  const folder = dirname(node.agent.config)
  const serviceAccount = join(folder, 'service-account')
  mkdirSync(serviceAccount)
  writeFileSync(join(serviceAccount, 'token'), 'the-token')
  writeFileSync(join(serviceAccount, 'ca.crt'), readFileSync(server.ca))
  for (const manifest of manifests)
    if (manifest.kind === 'CustomResourceDefinition') node.api.create(structuredClone(manifest) as never)
  return {
    node,
    networks: new Networks(t, node),
    host: {
      netns: node.namespace.path,
      folder,
      manifests,
      image,
      serviceAccount,
      env: {NODE_NAME: 'a', KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '6443'},
      paths: {
        '/proc/sys/net': '/proc/sys/net',
        '/run/netns': '/run/netns',
        '/var/lib/netgraft': node.agent.state,
        '/run/netgraft': `${node.agent.state}.run`,
        '/etc/cni/net.d': join(folder, 'net.d'),
        '/opt/cni/bin': join(folder, 'bin'),
      },
    },
  }
}

/** Its log is the test node's. */
function startAgent(t: ExecutionContext, {node, host}: Prepared): void {
  const pod = podSpec(host.manifests)
  const child = startContainer(t, host, pod, containerOf(pod, 'agent'))
  const {logs} = node.agent
  let rest = ''
  const take = (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) logs.push(line.startsWith('{') ? JSON.parse(line) : {level: 'none', msg: line})
  }
  child.stdout!.setEncoding('utf8').on('data', take)
  child.stderr!.setEncoding('utf8').on('data', take)
  node.agent.process = child
}

test.serial('the agent of default-cni: routes, ready, pods, plugins of the host', async t => {
  const prepared = await prepare(t, render('overlays/default-cni'))
  const {node, networks, host} = prepared
  const {runtime} = networks
  node.namespace.exec('sysctl', '-qw', 'net.ipv4.ip_forward=0')
  startAgent(t, prepared)
  await node.has('10.64.2.0/24 via 192.168.0.2')
  await runtime.serving()
  t.like(await node.agent.http('/readyz'), {status: 200})
  t.like(await node.agent.http('/healthz'), {status: 200})
  // A sysctl, though /proc/sys is read-only; masquerade, by nft.
  t.is(node.namespace.exec('sysctl', '-n', 'net.ipv4.ip_forward').trim(), '1')
  await node.until(() => node.namespace.exec('/usr/sbin/nft', 'list', 'tables').includes('inet netgraft'))

  // A pod in a namespace that is made after the agent's start; a further network by a program of the host.
  networks.define('tuned', {
    cniVersion: '1.0.0',
    plugins: [
      {type: 'bridge', bridge: 'ng-tuned', ipam: {type: 'host-local', ranges: [[{subnet: '10.99.0.0/24'}]]}},
      {type: 'tuning', mtu: 1400},
    ],
  })
  const pod = await networks.start({'k8s.v1.cni.cncf.io/networks': 'tuned'})
  t.regex(networks.interfaces(pod).join('; '), /^eth0 10\.64\.1\.\d+\/24 .*; net1 10\.99\.0\.2\/24$/)
  t.is(pod.namespace.json('link', 'show', 'dev', 'net1')[0].mtu, 1400)
  t.true(existsSync(join(host.folder, 'volumes/leases/networks/tuned/10.99.0.2')), 'a lease of host-local')
  t.deepEqual(runtime.troubles(), [])
  // The agent hears what happens in pods.
  pod.namespace.ip('link', 'del', 'net1')
  await networks.has(pod, 'net1 10.99.0.2/24')
  networks.annotate(pod, {'k8s.v1.cni.cncf.io/networks': null})
  await networks.has(pod)
  await runtime.succeeds('DEL', pod)
  await runtime.clean()
  t.deepEqual(
    runtime.troubles().filter(line => !line.includes('"an attachment was put right"')),
    [],
  )
})

test.serial('install and uninstall, on folders of a user who is not root', async t => {
  for (const overlay of ['default-cni', 'attachments-only']) {
    const prepared = await prepare(t, render(`overlays/${overlay}`))
    const {host} = prepared
    const pod = podSpec(host.manifests)
    const [bin, conf] = [host.paths['/opt/cni/bin']!, host.paths['/etc/cni/net.d']!]
    const other = JSON.stringify({cniVersion: '1.0.0', name: 'other', plugins: [{type: 'ptp'}]})
    for (const folder of [bin, conf]) mkdirSync(folder)
    if (overlay === 'attachments-only') {
      const failed = await runContainer(t, host, pod, containerOf(pod, 'install'))
      t.is(failed.status, 1)
      t.regex(failed.stderr, /has no other network that could be kept/)
    }
    writeFileSync(join(conf, '10-other.conflist'), other)
    execFileSync('chown', ['1001:1001', bin, conf])

    const installed = await runContainer(t, host, pod, containerOf(pod, 'install'))
    t.is(installed.status, 0, installed.stderr)
    t.deepEqual(filesOf(bin), ['netgraft'])
    t.deepEqual(filesOf(conf).sort(), ['05-netgraft.conflist', '10-other.conflist'])
    t.deepEqual(readFileSync(join(bin, 'netgraft')), readFileSync('dist/netgraft-cni'))
    const [plugin] = JSON.parse(readFileSync(join(conf, '05-netgraft.conflist'), 'utf8')).plugins
    t.is(plugin.type, 'netgraft')
    t.deepEqual(plugin.delegates?.[0].name, overlay === 'attachments-only' ? 'other' : undefined)

    const removal = render('uninstall')
    const spec = podSpec(removal)
    const uninstalled = await runContainer(t, {...host, manifests: removal}, spec, containerOf(spec, 'plugin'))
    t.is(uninstalled.status, 0, uninstalled.stderr)
    t.deepEqual([filesOf(bin), filesOf(conf)], [[], ['10-other.conflist']])
  }
})

test.serial('what is left on a node when the agent has been removed', async t => {
  const prepared = await prepare(t, render('overlays/default-cni'))
  const {node, networks, host} = prepared
  startAgent(t, prepared)
  await node.has('10.64.2.0/24 via 192.168.0.2')
  await networks.runtime.serving()
  await node.until(() => node.namespace.exec('/usr/sbin/nft', 'list', 'tables').includes('netgraft'))
  t.is(await stopContainer(node.agent.process!), 0)

  const removal = render('uninstall')
  const spec = podSpec(removal)
  for (const {name} of spec.initContainers) {
    const {serviceAccount: _, ...bare} = host
    const {status, stderr} = await runContainer(t, {...bare, manifests: removal}, spec, containerOf(spec, name))
    t.is(status, 0, `${name}: ${stderr}`)
  }
  t.deepEqual(await node.routes(4), [])
  // As scripts/kind looks; the files here are this machine's.
  const left = node.namespace.exec('env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'sh', 'test/e2e/left-overs')
  t.deepEqual(
    left.split('\n').filter(line => line !== '' && !line.startsWith('/')),
    [],
  )
  t.is(node.namespace.exec('/usr/sbin/nft', 'list', 'tables'), '')
  t.deepEqual(await node.tunnels(), [])
  for (const path of ['/var/lib/netgraft', '/run/netgraft']) t.deepEqual(filesOf(host.paths[path]!), [], path)
})

test('the manifests run the image by its entry point', t => {
  for (const overlay of OVERLAYS)
    t.regex(containerOf(podSpec(render(`overlays/${overlay}`)), 'agent').image, /^netgraft:\d/)
  t.true(image.entrypoint.every(path => existsSync(join(image.folder, path))))
})
