/** With the real kubectl, as a user has it: no flags that turn anything off. */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import type {ApiServer} from '../../src/lab/apiserver/server.ts'
import {node, PAIRS_CRD, pair, serve} from './apiserver-client.ts'

test.before(t => {
  const {error} = spawnSync('kubectl', ['version', '--client'])
  t.is(error, undefined, 'kubectl cannot be run: scripts/setup installs it')
})

/** kubectl against a server, with a home of its own: it caches discovery there. */
class Kubectl {
  readonly #t: ExecutionContext
  readonly #env
  readonly #folder: string

  constructor(t: ExecutionContext, server: ApiServer) {
    const folder = mkdtempSync(join(tmpdir(), 'ng-kubectl-'))
    t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
    writeFileSync(join(folder, 'kubeconfig'), server.kubeconfig())
    this.#t = t
    this.#folder = folder
    this.#env = {...process.env, HOME: folder, KUBECONFIG: join(folder, 'kubeconfig')}
  }

  file(name: string, object: object): string {
    const path = join(this.#folder, name)
    writeFileSync(path, JSON.stringify(object))
    return path
  }

  start(args: readonly string[]): ChildProcess {
    const child = spawn('kubectl', args, {env: this.#env, stdio: ['ignore', 'pipe', 'pipe']})
    this.#t.teardown(() => void child.kill('SIGKILL'))
    return child
  }

  /** What it prints, errors too, without the ends of lines' blanks. Ages read as AGE, so that a slow machine prints the same. */
  async run(...args: string[]): Promise<string> {
    const child = this.start(args)
    let text = ''
    for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', more => (text += more))
    await once(child, 'close')
    return text
      .trimEnd()
      .replaceAll(/ +$/gm, '')
      .replaceAll(/\b\d+s\b/g, 'AGE')
  }
}

const NODE = node('a', {
  spec: {podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00:1::/64']},
  status: {conditions: [{type: 'Ready', status: 'True'}], addresses: [{type: 'InternalIP', address: '192.168.0.11'}]},
})

test('get, in its formats', async t => {
  const server = await serve(t)
  server.create(NODE)
  server.create(node('b'))
  const kubectl = new Kubectl(t, server)
  t.is(await kubectl.run('get', 'nodes'), 'NAME   STATUS    AGE\na      Ready     AGE\nb      Unknown   AGE')
  t.is(
    await kubectl.run('get', 'no', 'a', '-o', 'wide'),
    'NAME   STATUS   AGE   INTERNAL-IP    POD-CIDRS\na      Ready    AGE    192.168.0.11   10.1.0.0/24,fd00:1::/64',
  )
  t.is(await kubectl.run('get', 'nodes', '-o', 'name'), 'node/a\nnode/b')
  t.is(await kubectl.run('get', 'node', 'a', '-o', 'jsonpath={.spec.podCIDRs[1]}'), 'fd00:1::/64')
  t.is(JSON.parse(await kubectl.run('get', 'node', 'a', '-o', 'json')).metadata.name, 'a')
  t.regex(await kubectl.run('get', 'node', 'a', '-o', 'yaml'), /^apiVersion: v1\nkind: Node\n/)
  t.is(await kubectl.run('get', 'node', 'x'), 'Error from server (NotFound): nodes "x" not found')
  t.regex(await kubectl.run('get', 'nodes', '--field-selector', 'spec.x=1'), /field label not supported: spec\.x$/)
})

test('annotate, label, patch', async t => {
  const server = await serve(t)
  server.create(NODE)
  const kubectl = new Kubectl(t, server)
  const now = () => server.get({resource: 'nodes', name: 'a'})!
  t.is(await kubectl.run('annotate', 'node', 'a', 'netgraft.dev/x=y'), 'node/a annotated')
  t.is(await kubectl.run('label', 'node', 'a', 'zone=z'), 'node/a labeled')
  t.deepEqual([now().metadata.annotations, now().metadata.labels], [{'netgraft.dev/x': 'y'}, {zone: 'z'}])
  t.regex(await kubectl.run('label', 'node', 'a', 'zone-'), /^node\/a (un)?labeled$/)
  t.is(await kubectl.run('patch', 'node', 'a', '-p', '{"spec":{"unschedulable":true}}'), 'node/a patched')
  t.is(now().spec?.unschedulable, true)
  const remove = '[{"op":"remove","path":"/spec/unschedulable"}]'
  t.is(await kubectl.run('patch', 'node', 'a', '--type=json', '-p', remove), 'node/a patched')
  t.is(now().spec?.unschedulable, undefined)
})

test('create, apply, delete', async t => {
  const server = await serve(t)
  const kubectl = new Kubectl(t, server)
  const pod = (image: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name: 'p', namespace: 'default'},
    spec: {nodeName: 'a', containers: [{name: 'c', image}]},
  })
  const file = kubectl.file('pod.json', pod('one'))
  t.is(await kubectl.run('apply', '-f', file), 'pod/p created')
  t.is(await kubectl.run('apply', '-f', file), 'pod/p unchanged')
  kubectl.file('pod.json', pod('two'))
  t.is(await kubectl.run('apply', '-f', file), 'pod/p configured')
  t.deepEqual(server.get({resource: 'pods', name: 'p'})?.spec?.containers, [{name: 'c', image: 'two'}])
  t.is(
    await kubectl.run('get', 'pods', '-A', '-o', 'wide'),
    'NAMESPACE   NAME   READY   STATUS    AGE   IP       NODE\ndefault     p      0/1     Pending   AGE    <none>   a',
  )
  t.regex(await kubectl.run('delete', '-f', file), /^pod "p" deleted/)
  t.is(await kubectl.run('create', '-f', kubectl.file('node.json', NODE)), 'node/a created')
  t.regex(
    await kubectl.run('create', '-f', kubectl.file('node.json', NODE)),
    /AlreadyExists.*nodes "a" already exists$/,
  )
  t.regex(await kubectl.run('delete', 'node', 'a'), /^node "a" deleted/)
  t.deepEqual(server.list('nodes'), [])
})

test('a custom resource', async t => {
  const server = await serve(t)
  const kubectl = new Kubectl(t, server)
  const created = 'customresourcedefinition.apiextensions.k8s.io/pairs.netgraft.dev'
  t.is(await kubectl.run('create', '-f', kubectl.file('crd.json', PAIRS_CRD)), `${created} created`)
  t.is(
    await kubectl.run('wait', '--for=condition=Established', 'crd/pairs.netgraft.dev', '--timeout=5s'),
    `${created} condition met`,
  )
  const file = kubectl.file('pair.json', pair('one', {spec: {peer: 'x'}}))
  t.is(await kubectl.run('apply', '-f', file), 'pair.netgraft.dev/one created')
  kubectl.file('pair.json', pair('one', {spec: {peer: 'yy'}}))
  t.is(await kubectl.run('apply', '-f', file), 'pair.netgraft.dev/one configured')
  server.patch(
    {resource: 'pairs', name: 'one', status: true},
    {status: {conditions: [{type: 'Ready', status: 'True'}]}},
  )
  t.is(await kubectl.run('get', 'pr'), 'NAME   PEER   READY   AGE\none    yy     True    AGE')
  t.is(
    await kubectl.run('patch', 'pair', 'one', '--type=merge', '-p', '{"spec":{"peer":"z"}}'),
    'pair.netgraft.dev/one patched',
  )
  t.regex(await kubectl.run('delete', 'pair', 'one'), /^pair\.netgraft\.dev "one" deleted/)
  t.regex(await kubectl.run('delete', 'crd', 'pairs.netgraft.dev'), /"pairs\.netgraft\.dev" deleted/)
  t.regex(await kubectl.run('get', 'pairs'), /the server could not find the requested resource/)
})

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

test('the definitions, out of their files', async t => {
  const server = await serve(t)
  const kubectl = new Kubectl(t, server)
  const names = [
    ...['network-attachment-definitions.k8s.cni.cncf.io', 'networks.kaloom.com'],
    ...['pairpods.netgraft.dev', 'pairs.netgraft.dev', 'vnis.netgraft.dev'],
  ]
  const applied = await kubectl.run('apply', '-f', CRDS)
  t.deepEqual(
    applied.split('\n').sort(),
    names.map(name => `customresourcedefinition.apiextensions.k8s.io/${name} created`),
  )
  t.is(readdirSync(CRDS).filter(name => name.endsWith('.yaml')).length, names.length)
  t.regex(await kubectl.run('apply', '-f', CRDS), /^(customresourcedefinition\S+ unchanged\n?){5}$/)
  await kubectl.run('wait', '--for=condition=Established', ...names.map(name => `crd/${name}`), '--timeout=5s')

  const nad = (name: string) => ({
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: {name},
    spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan"}'},
  })
  const net = {apiVersion: 'kaloom.com/v1', kind: 'Network', metadata: {name: 'green'}, spec: {plugin: 'bridge'}}
  await kubectl.run('create', '-f', kubectl.file('nad.json', nad('red')))
  await kubectl.run('create', '-f', kubectl.file('net.json', net))
  for (const short of ['nad', 'net-attach-def', 'network-attachment-definitions'])
    t.is(await kubectl.run('get', short), 'NAME   AGE\nred    AGE')
  for (const short of ['net', 'networks', 'networks.kaloom.com'])
    t.is(await kubectl.run('get', short), 'NAME    PLUGIN   AGE\ngreen   bridge   AGE')
  const config = '{"spec":{"config":"{}"}}'
  t.is(await kubectl.run('patch', 'net', 'green', '--type=merge', '-p', config), 'network.kaloom.com/green patched')
  t.regex(await kubectl.run('delete', 'nad', 'red'), /^networkattachmentdefinition\S* "red" deleted/)
})

test("a pod's networks are edited, and what is told of it can be read", async t => {
  const server = await serve(t)
  const kubectl = new Kubectl(t, server)
  const pod = {apiVersion: 'v1', kind: 'Pod', metadata: {name: 'app1'}, spec: {nodeName: 'a', containers: []}}
  await kubectl.run('create', '-f', kubectl.file('pod.json', pod))
  const networks = () => server.get({resource: 'pods', name: 'app1'})!.metadata.annotations?.networks
  t.is(await kubectl.run('annotate', 'pod', 'app1', 'networks=[{"name":"green"}]'), 'pod/app1 annotated')
  t.is(networks(), '[{"name":"green"}]')
  t.regex(await kubectl.run('annotate', 'pod', 'app1', 'networks=[]'), /--overwrite is false but found/)
  t.is(await kubectl.run('annotate', 'pod', 'app1', 'networks=[]', '--overwrite'), 'pod/app1 annotated')
  t.is(networks(), '[]')
  const patch = '{"metadata":{"annotations":{"networks":"x"}}}'
  for (const type of ['merge', 'strategic'])
    t.regex(await kubectl.run('patch', 'pod', 'app1', `--type=${type}`, '-p', patch), /^pod\/app1 patched/)
  t.is(networks(), 'x')
  t.is(await kubectl.run('annotate', 'pod', 'app1', 'networks-'), 'pod/app1 annotated')
  t.is(networks(), undefined)

  server.create({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {name: 'app1.1', namespace: 'default'},
    involvedObject: {apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'app1'},
    reason: 'NetworkAttached',
    message: 'green is net9f27410725ab',
    type: 'Normal',
    count: 1,
    lastTimestamp: new Date().toISOString(),
  })
  t.is(
    await kubectl.run('get', 'events'),
    'LAST SEEN   TYPE     REASON            OBJECT     MESSAGE\nAGE          Normal   NetworkAttached   pod/app1   green is net9f27410725ab',
  )
  t.regex(await kubectl.run('events', '--for', 'pod/app1'), /Normal +NetworkAttached +Pod\/app1 +green is net/)
  t.regex(await kubectl.run('delete', 'pod', 'app1'), /^pod "app1" deleted/)
})

test('get -w follows', async t => {
  const server = await serve(t)
  server.create(NODE)
  const kubectl = new Kubectl(t, server)
  const child = kubectl.start(['get', 'nodes', '-w'])
  let text = ''
  const seen = async (what: RegExp) => {
    while (!what.test(text)) text += (await once(child.stdout!, 'data'))[0]
  }
  await seen(/a +Ready/)
  while (!server.requests.some(({path}) => path.includes('watch')))
    await new Promise(resolve => setTimeout(resolve, 20))
  server.create(node('b'))
  await seen(/b +Unknown/)
  server.patch({resource: 'nodes', name: 'b'}, {spec: {unschedulable: true}})
  await seen(/b +Unknown,SchedulingDisabled/)
  t.pass()
})
