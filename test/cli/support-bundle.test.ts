/** `netgraft support-bundle`: what is in it, what never is, and that it comes whatever is broken. Needs root. */
import {execFileSync, spawn} from 'node:child_process'
import {once} from 'node:events'
import {
  appendFileSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {pipeline} from 'node:stream/promises'
import test, {type ExecutionContext} from 'ava'
import {collect} from '../../src/cli/bundle/parts.ts'
import {hideIn, withoutSecrets} from '../../src/cli/bundle/secrets.ts'
import {tar} from '../../src/cli/bundle/tar.ts'
import {parseCidr} from '../../src/model/ip.ts'
import {bridgeConf, startNetworks} from '../agent/support/networks.ts'
import {BUNDLE, built, OWN_TUNNELS, startNode, type TestNode, VXLAN} from '../agent/support/node.ts'
import {netgraft} from './support.ts'

test.before(built)

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'ng-bundle-'))
  t.teardown(() => rmSync(path, {recursive: true, force: true, maxRetries: 5}))
  return path
}

/** By the name inside its folder: what real tar unpacks. */
function unpack(file: string): ReadonlyMap<string, string> {
  const names = execFileSync('tar', ['tzf', file], {encoding: 'utf8'}).trim().split('\n')
  return new Map(
    names.map(name => [
      name.slice(name.indexOf('/') + 1),
      execFileSync('tar', ['xzOf', file, name], {encoding: 'utf8', maxBuffer: 64 << 20}),
    ]),
  )
}

const KEY = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIplanted\n-----END EC PRIVATE KEY-----\n'
const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl'

test('all of it, as tar reads it, and no secret that the node has', async t => {
  const place = folder(t)
  const [bin, conf] = [join(place, 'bin'), join(place, 'conf')]
  mkdirSync(bin)
  mkdirSync(conf)
  writeFileSync(join(place, 'key.pem'), KEY)
  writeFileSync(join(conf, '99-other.conf'), JSON.stringify({name: 'x', type: 'y', auth: 'planted-by-others'}))
  const store = {type: 'etcd', endpoints: ['http://127.0.0.1:1'], user: 'ng', password: 'planted"etcd'}
  const node = await startNode(t, {config: {...VXLAN, store}, start: false})
  const kubeconfig = join(node.agent.config, '..', 'kubeconfig')
  writeFileSync(kubeconfig, node.api.kubeconfig('http://127.0.0.1:6443', 'planted-kube-token'))
  node.agent.start()
  await node.holds(OWN_TUNNELS)
  await netgraft(node, 'install', '--cni-bin', bin, '--cni-conf', conf)
  const [own] = execFileSync('ls', [conf], {encoding: 'utf8'}).split('\n')
  const conflist = JSON.parse(readFileSync(join(conf, own!), 'utf8'))
  conflist.plugins[0].delegates = [{type: 'z', k8s_auth_token: 'planted-delegate'}]
  writeFileSync(join(conf, own!), JSON.stringify(conflist))
  // Whatever gets into a text of others: the log tells of this node's range.
  node.put(`c 10.64.3.0/24 via ${TOKEN}`)
  await node.says(TOKEN)

  const file = join(place, 'x.tar.gz')
  const words = ['--cni-bin', bin, '--cni-conf', conf, '--output', file]
  const {status, stdout, stderr} = await netgraft(node, 'support-bundle', ...words)
  t.deepEqual([status, stderr], [0, ''])
  t.true(stdout.startsWith(`${file}: `))
  t.is(statSync(file).mode & 0o777, 0o600)
  const files = unpack(file)
  for (const name of ['status', 'routes', 'attachments', 'pairs', 'plan', 'check']) {
    t.truthy(JSON.parse(files.get(`${name}.json`)!))
    t.true(files.get(`${name}.txt`)!.length > 0, name)
  }
  const json = (name: string) => JSON.parse(files.get(name)!)
  t.is(json('status.json').node, 'a')
  t.deepEqual(
    json('nodes.json').nodes.map(({node, own}: {node: string; own: boolean}) => [node, own]),
    [
      ['a', true],
      ['c', false],
    ],
  )
  for (const name of ['config.json', 'config-in-force.json'])
    t.like(json(name), {store: {user: 'ng', password: '(hidden)'}, networks: [{backend: 'vxlan', protocol: 107}]})
  t.regex(files.get('metrics.txt')!, /^netgraft_build_info\{/m)
  t.regex(files.get('log.txt')!, /"msg":"serving the admin API"/)
  const {links, routes} = json('kernel/network.json')
  t.true(links.some(({name}: {name: string}) => name === 'ng-vx0'))
  t.true(routes.every(({destination}: {destination: unknown}) => typeof destination === 'string'))
  t.is(json('kernel/sysctl.json')['ipv4/ip_forward'], '1')
  t.is(json('version.json').node, process.version)
  t.deepEqual(
    json('cni/programs.json').map(({name}: {name: string}) => name),
    ['netgraft'],
  )
  t.like(json('cni/conf.json'), {order: [own, '99-other.conf'], own: [{path: own}]})
  t.deepEqual(json('journal.json'), {files: 0, headers: []})
  t.regex(files.get('README.txt')!, /Nothing is missing/)
  const all = [...files].map(([name, text]) => `${name}\n${text}`).join('\n')
  t.notRegex(all, /planted/)
  t.notRegex(all, /PRIVATE KEY|eyJhbGci/)
  t.true(files.get('cni/conf.json')!.includes('(hidden)'))

  // What is there stays as it is.
  const before = readFileSync(file)
  const again = await netgraft(node, 'support-bundle', '--output', file)
  t.is(again.status, 1)
  t.is(again.stderr, `netgraft: ${file} is there already; remove it, or name another file with --output\n`)
  t.deepEqual(readFileSync(file), before)
  const nowhere = await netgraft(node, 'support-bundle', '--output', join(place, 'none', 'x'))
  t.is(nowhere.status, 1)
  t.regex(nowhere.stderr, /cannot be written \(ENOENT\); name another file with --output, or - for standard output\n$/)
})

/** To standard output, as through `kubectl exec`. */
async function toStdout(t: ExecutionContext, node: TestNode): Promise<ReadonlyMap<string, string>> {
  const file = join(folder(t), 'x.tar.gz')
  const words = [process.execPath, BUNDLE, 'support-bundle', '--output', '-', '--config', node.agent.config]
  const child = spawn('nsenter', [`--net=${node.namespace.path}`, ...words], {stdio: ['ignore', 'pipe', 'ignore']})
  const ended = once(child, 'close')
  await pipeline(child.stdout!, createWriteStream(file))
  t.deepEqual(await ended, [0, null])
  return unpack(file)
}

test('of the journal who has been attached, and not what plugins were told', async t => {
  const networks = await startNetworks(t, {config: {networks: [{backend: 'direct'}]}})
  const config = {...bridgeConf('green', '10.90.0.0/24', {ipam: {}}), args: {cni: {key: 'planted'}}}
  networks.define('green', config)
  const pod = await networks.start({'k8s.v1.cni.cncf.io/networks': 'green'}, true)
  await networks.node.agent.kill()
  const {headers} = JSON.parse((await toStdout(t, networks.node)).get('journal.json')!)
  t.deepEqual(
    headers.map(({ifname, pod, types, turns}: Record<string, unknown>) => ({
      ...{ifname, pod: (pod as {name: string}).name, types, turns},
    })),
    [
      {ifname: 'eth0', pod: pod.name, types: ['ptp'], turns: ['added']},
      {ifname: 'net1', pod: pod.name, types: ['bridge'], turns: ['added']},
    ],
  )
  t.regex(headers[0].containerId, /^[0-9a-f]{64}$/)
  t.false(JSON.stringify(headers).includes('planted'))
})

test('it comes from an agent that hangs, that is dead, and with a configuration that is wrong', async t => {
  const node = await startNode(t, {config: VXLAN})
  await node.holds(OWN_TUNNELS)
  node.agent.process!.kill('SIGSTOP')
  const hanging = await toStdout(t, node)
  node.agent.process!.kill('SIGCONT')
  t.regex(
    hanging.get('README.txt')!,
    /status\.json, status\.txt: the agent at .* cannot be asked: it has not answered for 10 s/,
  )
  t.true(hanging.get('kernel/network.json')!.includes('"ng-vx0"'))
  await node.agent.kill()
  const dead = await toStdout(t, node)
  t.regex(dead.get('README.txt')!, /status\.json, status\.txt: no agent answers at /)
  t.true(dead.get('kernel/network.json')!.includes('"ng-vx0"'))
  t.regex(dead.get('check.txt')!, /^failed +agent +no agent answers/m)
  appendFileSync(node.agent.config, ' {')
  const wrong = await toStdout(t, node)
  t.regex(wrong.get('README.txt')!, /config\.json: .*this is not valid YAML/)
})

test('a part that hangs or breaks keeps nobody waiting; addresses are written as text', async t => {
  const {files, missing} = await collect(
    {
      'a.json': async () => ({at: parseCidr('10.0.0.0/8'), by: new Map([['x', 1n]])}),
      'b.txt': () => new Promise(() => {}),
      'c.txt': async () => {
        throw new Error('it knows s3cret')
      },
    },
    ['s3cret'],
    50,
  )
  t.deepEqual(
    files.map(({name, bytes}) => [name, JSON.parse(bytes.toString())]),
    [['a.json', {at: '10.0.0.0/8', by: {x: '1'}}]],
  )
  t.deepEqual([...missing].sort(), [
    ['it has not come within 0.05 s', ['b.txt']],
    ['it knows (hidden)', ['c.txt']],
  ])
})

test('secrets by what they look like, and by the keys that they stand at', t => {
  t.is(hideIn(`a ${TOKEN} b`, []), 'a (hidden) b')
  t.is(hideIn(JSON.stringify({x: KEY, y: 1}), []), '{"x":"(hidden)\\n","y":1}')
  t.is(hideIn('Authorization: Bearer abcdefgh1234', []), 'Authorization: Bearer (hidden)')
  t.is(hideIn('http://u:pa:ss@host/ and http://host:80/', []), 'http://(hidden)@host/ and http://host:80/')
  t.is(hideIn('it "pa\\"ss" pa"ss', ['pa"ss']), 'it "(hidden)" (hidden)')
  t.deepEqual(withoutSecrets({a: [{password: 'x', apiKey: 'y', passwordFile: '/z'}], secretName: 1}), {
    a: [{password: '(hidden)', apiKey: '(hidden)', passwordFile: '/z'}],
    secretName: '(hidden)',
  })
})

test('files of any length and number', t => {
  const lengths = [0, 1, 511, 512, 513, 100_000]
  const archive = join(folder(t), 'x.tar')
  writeFileSync(
    archive,
    tar(
      lengths.map(length => ({name: `d/${length}`, bytes: Buffer.alloc(length, 'x')})),
      1e12,
    ),
  )
  const listed = execFileSync('tar', ['--utc', '-tvf', archive], {encoding: 'utf8'}).trim().split('\n')
  t.deepEqual(
    listed.map(line => line.replace(/ +/g, ' ')),
    lengths.map(length => `-rw------- 0/0 ${length} 2001-09-09 01:46 d/${length}`),
  )
  t.throws(() => tar([{name: 'x'.repeat(101), bytes: Buffer.alloc(0)}], 0), {message: /longer than 100 bytes/})
})
