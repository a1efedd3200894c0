/** What a pod's first interface is, and what stands beside it whatever the annotations say. Needs root. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {hashName} from '../../src/attach/names.ts'
import {bridgeConf, type Networks, type Started, startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'
import {leasesIn, Recorder} from './support/recorder.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
const DEFAULT = 'v1.multus-cni.io/default-network'

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

const defaultRoutes = ({namespace}: Started): string[] =>
  namespace.json('route', 'show', 'default').map(({gateway, dev}) => `${gateway} ${dev}`)

async function ends(networks: Networks, pod: Started): Promise<void> {
  await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  await networks.runtime.clean()
}

test('a primary one takes the place of the first, whatever the config says', async t => {
  const networks = await startNetworks(t)
  const recorder = new Recorder(t)
  networks.path = [recorder.folder, '/usr/lib/cni']
  const dir = folder(t)
  const routes = [{dst: '0.0.0.0/0', gw: '10.9.0.1'}]
  networks.define('green', conf(dir, 'green', '10.9.0.0/24', {routes}))
  networks.define('blue', conf(dir, 'blue', '10.8.0.0/24'))
  const delegates = [
    {...recorder.conf('master', '10.7.0.0/24'), name: 'master', masterPlugin: true},
    {...recorder.conf('other', '10.6.0.0/24'), name: 'other'},
  ]
  const mac = '02:00:00:00:00:09'
  const asks = (name: string) => JSON.stringify([{name: 'blue'}, {name, ifMac: mac, isPrimary: true}])
  const pod = await networks.start({networks: asks('green')}, true, {asked: {config: {delegates}}})
  t.deepEqual(networks.interfaces(pod), [`eth0 10.9.0.2/24`, `${hashName('blue')} 10.8.0.2/24`])
  t.is(pod.namespace.json('link', 'show').find(({ifname}) => ifname === 'eth0')!.address, mac)
  t.deepEqual(defaultRoutes(pod), ['10.9.0.1 eth0'])
  t.deepEqual(inside(pod), ['eth0', hashName('blue')])
  t.deepEqual(recorder.calls(), [])
  await networks.told(pod, `attached default/blue ${hashName('blue')}`, 'attached default/green eth0')
  t.like(networks.status(pod), [
    {name: 'default/green', interface: 'eth0', mac, default: true},
    {name: 'default/blue', interface: hashName('blue')},
  ] as object)
  const again =
    /^failed default\/red networks\[1\]: a primary network takes the place of the pod's first one when the pod starts/
  networks.annotate(pod, {networks: asks('red')})
  await networks.told(pod, `attached default/blue ${hashName('blue')}`, again)
  t.is(networks.interfaces(pod)[0], 'eth0 10.9.0.2/24')
  await networks.node.until(() => networks.events(pod).some(event => /Warning AttachFailed.*primary/.test(event)))
  await ends(networks, pod)
  t.deepEqual(leasesIn(dir), [])

  const plain = await networks.start({})
  networks.annotate(plain, {networks: asks('green')})
  await networks.told(
    plain,
    `attached default/blue ${hashName('blue')}`,
    /^failed default\/green networks\[1\]: a primary/,
  )
  await ends(networks, plain)

  const two = await networks.declare({
    networks: asks('green'),
    [NPWG]: JSON.stringify([{name: 'blue', isPrimary: true}]),
  })
  const {msg, code} = await networks.runtime.fails('ADD', two, networks.asked(two))
  t.is(code, 7)
  t.regex(msg, /isPrimary is true, and so is that of/)
  const broken = await networks.declare({networks: asks('none')})
  t.regex((await networks.runtime.fails('ADD', broken, networks.asked(broken))).msg, /"default\/none"/)
  // Its last address is taken.
  networks.define(
    'full',
    conf(dir, 'full', '10.5.0.0/24', {
      ranges: [[{subnet: '10.5.0.0/24', rangeStart: '10.5.0.1', rangeEnd: '10.5.0.1'}]],
    }),
  )
  const full = await networks.declare({networks: asks('full')})
  t.regex((await networks.runtime.fails('ADD', full, networks.asked(full))).msg, /default\/full/)
  await networks.runtime.clean()
  t.deepEqual(leasesIn(dir), [])
})

test("Multus' own annotation replaces the first network, and that alone", async t => {
  const networks = await startNetworks(t)
  const dir = folder(t)
  networks.define('green', conf(dir, 'green', '10.9.0.0/24'))
  networks.define('blue', conf(dir, 'blue', '10.8.0.0/24'))
  const pod = await networks.start({[DEFAULT]: 'green', [NPWG]: 'blue'})
  t.deepEqual(networks.interfaces(pod), ['eth0 10.9.0.2/24', 'net1 10.8.0.2/24'])
  await networks.told(pod, 'attached default/blue net1')
  t.deepEqual(told(networks, pod), ['default/green eth0', 'default/blue net1'])
  await ends(networks, pod)
  const bad = await networks.declare({[DEFAULT]: 'green,blue'})
  t.regex((await networks.runtime.fails('ADD', bad, networks.asked(bad))).msg, /names 2 networks/)
  const foreign = await networks.declare({[DEFAULT]: 'kube-system/green'})
  t.regex(
    (await networks.runtime.fails('ADD', foreign, networks.asked(foreign))).msg,
    /may not use "kube-system\/green"/,
  )
  await networks.runtime.clean()
})

for (const spelling of ['masterPlugin', 'masterplugin'])
  test(`delegates of kactus' config: ${spelling}`, async t => {
    const networks = await startNetworks(t)
    const recorder = new Recorder(t)
    networks.path = [recorder.folder, '/usr/lib/cni']
    networks.define('blue', recorder.conf('blue', '10.8.0.0/24'))
    const delegates = [
      {...recorder.conf('other', '10.6.0.0/24'), name: 'other'},
      {...recorder.conf('master', '10.7.0.0/24'), name: 'master', [spelling]: true},
    ]
    const asked = {config: {delegates}}
    const pod = await networks.start({networks: '[{"name":"blue"}]'}, true, {asked})
    const other = hashName('other')
    const blue = hashName('blue')
    t.deepEqual(inside(pod), ['eth0', other, blue])
    await networks.told(pod, `attached default/blue ${blue}`, `attached other ${other}`)
    t.deepEqual(
      told(networks, pod).map(text => text.split(' ')[1]),
      ['eth0', other, blue],
    )
    const master = recorder.calls('ADD', 'eth0')[0]!
    t.false(/master[Pp]lugin/.test(master.stdin))
    networks.annotate(pod, {networks: null})
    await networks.has(pod, `${other} 10.6.0.2/24`)
    await networks.told(pod, `attached other ${other}`)
    await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
    await networks.runtime.clean()
    t.deepEqual(recorder.leases(), [])
    t.is(recorder.calls('DEL').length, 3)
  })
