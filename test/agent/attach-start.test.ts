/** Networks of pods that start: from where it is known which, all at once, and what fails. Needs root. */
import {chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {bridgeConf, CRI_ANNOTATIONS, type Networks, type Started, startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'
import {leasesIn, Recorder} from './support/recorder.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'ng-start-'))
  t.teardown(() => rmSync(made, {recursive: true, force: true, maxRetries: 5}))
  return made
}

const conf = (dataDir: string, name: string, subnet: string, more: object = {}) =>
  bridgeConf(name, subnet, {ipam: {type: 'host-local', dataDir, ranges: [[{subnet}]], ...more}})

const inside = ({result}: Pick<Started, 'result'>): string[] =>
  result.interfaces.filter(({sandbox}) => sandbox).map(({name}) => name)

const told = (networks: Networks, pod: Started): string[] =>
  networks.status(pod).map(({name, interface: ifname}) => `${name} ${ifname}`)

async function ends(networks: Networks, pod: Started): Promise<void> {
  await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  await networks.runtime.clean()
}

test('annotations are known from the runtime, the watch, or one question; else the pod does not start', async t => {
  const networks = await startNetworks(t)
  const {api, agent} = networks.node
  const dir = folder(t)
  networks.define('green', conf(dir, 'green', '10.9.0.0/24'))
  const ask = {[NPWG]: 'green'}

  const byRuntime = await networks.declare({})
  const runtimeConfig = {[CRI_ANNOTATIONS]: ask}
  t.deepEqual(inside(await networks.wire(byRuntime, true, {config: {runtimeConfig}})), ['eth0', 'net1'])

  const byWatch = await networks.declare(ask)
  await networks.told(byWatch, 'pending default/green the pod has not started yet')
  await api.faults.down()
  // Its status cannot be written now.
  const result = await networks.runtime.add(byWatch, networks.asked(byWatch, false))
  t.deepEqual(inside({result}), ['eth0', 'net1'])

  const [spare] = await networks.runtime.pods(1)
  const unknown = {...byRuntime, ...spare!, name: 'nobody', uid: 'none'}
  const refused = await networks.runtime.fails('ADD', unknown, networks.asked(unknown, false))
  t.is(refused.code, 11)
  t.regex(refused.msg, /which networks pod "default\/nobody" asks for is not known.*it starts once that is/)
  await api.faults.up()
  const absent = await networks.runtime.fails('ADD', unknown, networks.asked(unknown, false))
  t.is(absent.code, 11)
  t.regex(absent.msg, /the API server has no such pod/)

  // The watch is late.
  await networks.node.until(() => agent.ready())
  api.faults.stallWatches(true)
  const byQuestion = await networks.start(ask, false)
  t.deepEqual(inside(byQuestion), ['eth0', 'net1'])
  const former = {...byQuestion, ...spare!, uid: 'of-a-former-one'}
  const another = await networks.runtime.fails('ADD', former, networks.asked(former, false))
  t.is(another.code, 11)
  t.regex(another.msg, /another pod of that name/)
  api.faults.stallWatches(false)

  // The runtime has the config's hash for the UID of a static one.
  const fixed = {...(await networks.declare({...ask, 'kubernetes.io/config.hash': 'abc123'})), uid: 'abc123'}
  t.deepEqual(inside(await networks.wire(fixed, false)), ['eth0', 'net1'])
  networks.annotate(fixed, {[NPWG]: 'green,green'})
  await networks.told(fixed, 'attached default/green net1', 'attached default/green net2')
})

test('an agent that starts while the API server is away: pods without networks start, others wait', async t => {
  const networks = await startNetworks(t)
  const {api, agent} = networks.node
  networks.define('green', conf(folder(t), 'green', '10.9.0.0/24'))
  const before = await networks.start({[NPWG]: 'green'})
  await networks.told(before, 'attached default/green net1')
  const [plain, asking] = [await networks.declare(), await networks.declare({[NPWG]: 'green'})]
  // What it knows of its node then.
  await networks.node.until(() => existsSync(join(agent.state, 'nodes.json')))
  await agent.kill()
  await api.faults.down()
  agent.logs.length = 0
  agent.start()
  await networks.node.says('serving CNI requests')
  t.deepEqual(inside({result: await networks.runtime.add(plain, networks.asked(plain))}), ['eth0'])
  const {code, msg} = await networks.runtime.fails('ADD', asking, networks.asked(asking))
  t.is(code, 11)
  t.regex(msg, /networks\[0\]: /)
  t.deepEqual(networks.interfaces(asking), [])
  t.deepEqual(
    networks.interfaces(before).map(text => text.split(' ')[0]),
    ['eth0', 'net1'],
  )
  await api.faults.up()
  await networks.node.until(() => agent.ready())
  t.deepEqual(inside(await networks.wire(asking)), ['eth0', 'net1'])
  for (const pod of [before, plain, asking]) await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  await networks.runtime.clean()
})

test('all at once', async t => {
  const networks = await startNetworks(t)
  const bin = folder(t)
  networks.path = [bin, '/usr/lib/cni']
  // Each waits for the other, and is never done alone.
  const script = `#!/bin/sh
input=$(cat)
if [ "$CNI_COMMAND" = ADD ]; then
  : > ${bin}/$CNI_IFNAME.came
  tries=0
  until [ -e ${bin}/a.came ] && [ -e ${bin}/b.came ]; do
    tries=$((tries + 1))
    [ $tries -gt 400 ] && { echo '{"cniVersion":"1.0.0","code":100,"msg":"alone"}'; exit 1; }
    sleep 0.05
  done
fi
printf '%s' "$input" | exec /usr/lib/cni/bridge
`
  writeFileSync(join(bin, 'meeting'), script)
  chmodSync(join(bin, 'meeting'), 0o755)
  for (const [name, net] of [
    ['a', 9],
    ['b', 8],
  ] as const)
    networks.define(name, {...conf(bin, name, `10.${net}.0.0/24`), type: 'meeting'})
  const pod = await networks.start({[NPWG]: 'b@b,a@a'})
  t.deepEqual(inside(pod), ['eth0', 'b', 'a'])
  await networks.told(pod, 'attached default/b b', 'attached default/a a')
  t.deepEqual(told(networks, pod), ['netgraft eth0', 'default/b b', 'default/a a'])
  await networks.node.agent.restart()
  await networks.runtime.serving()
  networks.annotate(pod, {[NPWG]: 'b@b,a@a,b@c'})
  rmSync(join(bin, 'a.came'))
  writeFileSync(join(bin, 'a.came'), '')
  await networks.told(pod, 'attached default/b b', 'attached default/a a', 'attached default/b c')
  t.deepEqual(told(networks, pod), ['netgraft eth0', 'default/b b', 'default/a a', 'default/b c'])
  await ends(networks, pod)
})

test('one that fails undoes all, and is named', async t => {
  const networks = await startNetworks(t)
  const recorder = new Recorder(t)
  networks.path = [recorder.folder, '/usr/lib/cni']
  const dir = folder(t)
  networks.define('good', conf(dir, 'good', '10.9.0.0/24'))
  networks.define('slow', recorder.conf('slow', '10.8.0.0/24'))
  networks.define('bad', recorder.conf('bad', '10.7.0.0/24', {bridge: 'ng-much-too-long-a-name'}))
  networks.define('chained', {
    cniVersion: '1.0.0',
    plugins: [conf(dir, 'chained', '10.6.0.0/24'), {type: 'tuning', sysctl: {'net.ipv4.conf.IFNAME.nonsense': '1'}}],
  })
  recorder.slow('ADD', 0.3)
  for (const [bad, ifname] of [
    ['bad', 'net3'],
    ['chained', 'net3'],
    ['absent', 'net3'],
  ]) {
    const pod = await networks.declare({[NPWG]: `good,slow,${bad}`})
    const {msg, code} = await networks.runtime.fails('ADD', pod, networks.asked(pod))
    t.true(msg.includes(`default/${bad}`), msg)
    if (bad !== 'absent') t.true(msg.includes(ifname!), msg)
    t.is(code === 11, bad === 'absent', msg)
    await networks.runtime.clean()
    t.deepEqual(networks.interfaces(pod), [])
    t.deepEqual([...leasesIn(dir), ...recorder.leases()], [])
    networks.node.api.delete({resource: 'pods', namespace: 'default', name: pod.name})
  }
})

test('required: false lets the pod start, and it is attached later', async t => {
  const networks = await startNetworks(t)
  const recorder = new Recorder(t)
  networks.path = [recorder.folder, '/usr/lib/cni']
  networks.define('blue', recorder.conf('blue', '10.8.0.0/24'))
  recorder.fail('ADD', 2)
  const pod = await networks.start({
    [NPWG]: JSON.stringify([
      {name: 'green', interface: 'g', required: false},
      {name: 'blue', interface: 'b', required: false},
    ]),
  })
  t.deepEqual(inside(pod), ['eth0'])
  await networks.told(
    pod,
    /^failed default\/green g .*there is no network definition "default\/green"/,
    'attached default/blue b',
  )
  t.regex(networks.events(pod).join('\n'), /Warning AttachFailed: default\/green: .*no network definition/)
  networks.define('green', recorder.conf('green', '10.9.0.0/24'))
  await networks.told(pod, 'attached default/green g', 'attached default/blue b')
  await networks.has(pod, 'g 10.9.0.2/24', 'b 10.8.0.2/24')
  await ends(networks, pod)
  t.deepEqual(recorder.leases(), [])
})

test("an interface that is there already is somebody else's: the pod does not start, and it stays", async t => {
  const networks = await startNetworks(t)
  networks.define('green', conf(folder(t), 'green', '10.9.0.0/24'))
  networks.define('lan', {cniVersion: '1.0.0', type: 'macvlan', master: 'eth0'})
  for (const asks of ['green@data', 'lan@data']) {
    const pod = await networks.declare({[NPWG]: asks})
    pod.namespace.ip('link', 'add', 'data', 'type', 'veth', 'peer', 'name', 'other')
    pod.namespace.ip('addr', 'add', '10.1.1.1/24', 'dev', 'data')
    const {msg} = await networks.runtime.fails('ADD', pod, networks.asked(pod))
    t.regex(msg, /data \(network "default\/\w+"\) cannot be attached: .*already there/)
    await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
    t.deepEqual(networks.interfaces(pod), ['data 10.1.1.1/24', 'other'])
    await networks.runtime.clean()
  }
})
