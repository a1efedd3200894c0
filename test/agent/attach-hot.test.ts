/** Annotations and definitions that are edited at every awkward moment: each ends in what is asked for. Needs root. */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {colours, ends} from './support/colours.ts'
import type {Started} from './support/networks.ts'
import {built} from './support/node.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'

const indexOf = (pod: Started, ifname: string): number => pod.namespace.index(ifname)

test('edited during ADD, and before the pod runs', async t => {
  const {networks, recorder} = await colours(t)
  recorder.slow('ADD', 1)
  const declared = await networks.declare({[NPWG]: 'red@r,green@g'})
  const adding = networks.runtime.add(declared, networks.asked(declared))
  await networks.node.until(() => recorder.calls('ADD').length > 0)
  networks.annotate(declared, {[NPWG]: 'green@g,blue@b'})
  recorder.slow('ADD', 0)
  const result = await adding
  t.deepEqual(
    result.interfaces.filter(({sandbox}) => sandbox).map(({name}) => name),
    ['eth0', 'r', 'g'],
  )
  const pod = {...declared, result}
  const was = indexOf(pod, 'g')
  await networks.has(pod, 'g 192.168.42.2/24', 'b 192.168.43.2/24')
  await networks.told(pod, 'attached default/green g', 'attached default/blue b')
  t.is(indexOf(pod, 'g'), was)
  // It has no address in the API yet: nothing waits for that.
  networks.annotate(declared, {[NPWG]: 'red@r,green@g'})
  await networks.has(pod, 'r 192.168.41.3/24', 'g 192.168.42.2/24')
  await ends(t, networks, recorder, pod)
})

test('edited while the agent is dead, and nothing is left of what it was about to do', async t => {
  const {networks, recorder} = await colours(t)
  const {agent} = networks.node
  const pod = await networks.start({[NPWG]: 'red@r,green@g'})
  await networks.told(pod, 'attached default/red r', 'attached default/green g')
  await agent.kill()
  networks.annotate(pod, {[NPWG]: 'blue@b,green@g'})
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'bridge', mtu: 1400}))
  const green = indexOf(pod, 'g')
  agent.start()
  await networks.has(pod, 'b 192.168.43.2/24', 'g 192.168.42.2/24')
  await networks.node.until(() => pod.namespace.json('link', 'show', 'g')[0].mtu === 1400)
  t.is(indexOf(pod, 'g'), green)
  await networks.told(pod, 'attached default/blue b', 'attached default/green g')
  // Killed in the middle of a program's work, which goes on by itself for a while.
  recorder.slow('ADD', 3)
  networks.annotate(pod, {[NPWG]: 'red@r'})
  await networks.node.until(() => recorder.calls('ADD', 'r').length === 2)
  await agent.kill()
  networks.annotate(pod, {[NPWG]: 'green@h'})
  agent.start()
  await networks.has(pod, 'h 192.168.42.3/24')
  await networks.told(pod, 'attached default/green h')
  await sleep(3500)
  await networks.has(pod, 'h 192.168.42.3/24')
  await ends(t, networks, recorder, pod)
})

test('edited twice at once, to and fro, and in another order', async t => {
  const {networks, recorder} = await colours(t)
  const pod = await networks.start({[NPWG]: 'red@r'})
  await networks.told(pod, 'attached default/red r')
  networks.annotate(pod, {[NPWG]: 'red@r,green@g'})
  networks.annotate(pod, {[NPWG]: 'red@r,blue@b'})
  await networks.told(pod, 'attached default/red r', 'attached default/blue b')
  await networks.has(pod, 'r 192.168.41.2/24', 'b 192.168.43.2/24')
  const before = ['r', 'b'].map(name => indexOf(pod, name))
  networks.annotate(pod, {[NPWG]: 'green@g'})
  networks.annotate(pod, {[NPWG]: 'red@r,blue@b'})
  networks.annotate(pod, {[NPWG]: 'red@r,green@g,blue@b'})
  await networks.told(pod, 'attached default/red r', 'attached default/green g', 'attached default/blue b')
  t.deepEqual(
    ['r', 'b'].map(name => indexOf(pod, name)),
    before,
  )
  // With names that nobody has written, too.
  networks.annotate(pod, {[NPWG]: 'red@r,green@g,blue@b,red,green,blue'})
  await networks.node.until(() => networks.states(pod).length === 6)
  // The kernel tells of carriers once a second: linkwatch, net/core/link_watch.c.
  await sleep(2500)
  const heard = await networks.node.monitor('link', 'address')
  const inside = networks.interfaces(pod)
  const all = () => networks.interfaces(pod).map(each => indexOf(pod, each.split(' ')[0]!))
  const indexes = all()
  networks.annotate(pod, {[NPWG]: 'blue,green,red,blue@b,red@r,green@g'})
  await networks.node.until(() => networks.states(pod)[0] === 'attached default/blue net3')
  t.deepEqual(networks.interfaces(pod), inside)
  t.deepEqual(all(), indexes)
  t.deepEqual(await heard(), [])
  t.is(recorder.calls('ADD').length, 2)
  t.deepEqual(recorder.calls('DEL'), [])
  await ends(t, networks, recorder, pod)
})

test('a definition that is edited under what it has made', async t => {
  const {networks, recorder} = await colours(t)
  const conf = (more: object, ipam: object = {}) => ({
    cniVersion: '1.0.0',
    type: 'bridge',
    bridge: 'ng-own',
    ipam: {type: 'static', addresses: [{address: '192.168.50.7/24'}], ...ipam},
    ...more,
  })
  networks.define('own', conf({}))
  const pod = await networks.start({[NPWG]: 'own@o,green@g'})
  await networks.told(pod, 'attached default/own o', 'attached default/green g')
  const mtu = () => pod.namespace.json('link', 'show', 'o')[0].mtu
  const events = (what: string) => networks.events(pod).filter(each => each.includes(what)).length
  const was = indexOf(pod, 'o')
  const other = indexOf(pod, 'g')

  networks.define('own', conf({mtu: 1400}))
  await networks.node.until(() => mtu() === 1400)
  await networks.node.until(() => events('Updated: changed default/own as o (192.168.50.7/24) in place') === 1)
  networks.define('own', conf({mtu: 1400}, {routes: [{dst: '10.99.0.0/16', gw: '192.168.50.1'}]}))
  await networks.node.until(() => pod.namespace.ip('route').includes('10.99.0.0/16 via 192.168.50.1 dev o'))
  networks.define('own', conf({mtu: 1400}, {addresses: [{address: '192.168.50.8/24'}], routes: []}))
  await networks.has(pod, 'o 192.168.50.8/24', 'g 192.168.42.2/24')
  t.false(pod.namespace.ip('route').includes('10.99.0.0/16'))
  t.is(indexOf(pod, 'o'), was)
  await networks.node.until(() => networks.status(pod).some(({ips}) => String(ips) === '192.168.50.8'))

  networks.define('own', conf({mtu: 1400, bridge: 'ng-new'}, {addresses: [{address: '192.168.50.8/24'}]}))
  await networks.node.until(() => events('Updated: attached default/own as o (192.168.50.8/24) anew') === 1)
  t.not(indexOf(pod, 'o'), was)
  await networks.has(pod, 'o 192.168.50.8/24', 'g 192.168.42.2/24')
  networks.define('own', recorder.conf('own', '192.168.51.0/24'))
  await networks.has(pod, 'o 192.168.51.2/24', 'g 192.168.42.2/24')
  networks.define('own', '{"type": ')
  await networks.told(pod, /^attached default\/own o .*own/, 'attached default/green g')
  await networks.has(pod, 'o 192.168.51.2/24', 'g 192.168.42.2/24')

  networks.undefine('own')
  await networks.told(pod, /^attached default\/own o .*there is no network definition/, 'attached default/green g')
  await networks.has(pod, 'o 192.168.51.2/24', 'g 192.168.42.2/24')
  networks.define('own', recorder.conf('own', '192.168.51.0/24'))
  await networks.told(pod, 'attached default/own o', 'attached default/green g')
  t.is(recorder.calls('ADD').length, 1)
  t.is(indexOf(pod, 'g'), other)
  networks.undefine('own')
  await networks.told(pod, /^attached default\/own o .*there is no network definition/, 'attached default/green g')
  networks.annotate(pod, {[NPWG]: 'green@g'})
  await networks.has(pod, 'g 192.168.42.2/24')
  t.is(recorder.calls('DEL')[0]!.env.CNI_ARGS, recorder.calls('ADD')[0]!.env.CNI_ARGS)
  t.log(networks.events(pod).join('\n'))
  await ends(t, networks, recorder, pod)
})

test('what is chosen of a network changes: the MAC in place, the addresses anew', async t => {
  const {networks, recorder} = await colours(t)
  const ipam = {type: 'static', routes: []}
  networks.define('own', {
    cniVersion: '1.0.0',
    type: 'bridge',
    bridge: 'ng-own',
    capabilities: {ips: true, mac: true},
    ipam,
  })
  const choose = (more: object) => ({
    [NPWG]: JSON.stringify([{name: 'own', interface: 'o', ips: ['192.168.50.7/24'], ...more}]),
  })
  const pod = await networks.start(choose({}))
  const was = indexOf(pod, 'o')
  const mac = () => pod.namespace.json('link', 'show', 'o')[0].address
  networks.annotate(pod, choose({mac: '02:00:00:00:00:77'}))
  await networks.node.until(() => mac() === '02:00:00:00:00:77')
  networks.annotate(pod, choose({mac: '02:00:00:00:00:77', ips: ['192.168.50.9/24', 'fd00:50::9/64']}))
  await networks.has(pod, 'o 192.168.50.9/24 fd00:50::9/64')
  t.is(indexOf(pod, 'o'), was)
  t.is(mac(), '02:00:00:00:00:77')
  await networks.node.until(() => networks.status(pod)[1]?.mac === '02:00:00:00:00:77')
  networks.annotate(pod, {[NPWG]: '[{"name": "own", "interface": "p", "ips": ["192.168.50.9/24"]}]'})
  await networks.has(pod, 'p 192.168.50.9/24')
  await ends(t, networks, recorder, pod)
})

test('a pod that goes while a network is being attached', async t => {
  const {networks, recorder} = await colours(t)
  const [one, two] = [await networks.start({}), await networks.start({[NPWG]: 'red@x'})]
  await networks.told(two, 'attached default/red x')
  // Nobody waits for that.
  recorder.slow('ADD', 100_000)
  for (const pod of [one, two]) networks.annotate(pod, {[NPWG]: 'red@x,red@r,green@g'})
  await networks.node.until(() => recorder.calls('ADD', 'r').length === 2)
  for (const {name} of [one, two]) networks.node.api.delete({resource: 'pods', namespace: 'default', name})
  await Promise.all([one, two].map(pod => networks.runtime.succeeds('DEL', pod, networks.asked(pod))))
  // The links go behind the answer.
  for (const pod of [one, two]) await networks.node.until(() => networks.interfaces(pod).length === 0)
  await networks.runtime.clean()
  t.deepEqual(recorder.leases(), [])
  for (const {env, stdin} of recorder.calls('ADD')) {
    const del = recorder
      .calls('DEL')
      .find(each => each.env.CNI_CONTAINERID === env.CNI_CONTAINERID && each.env.CNI_IFNAME === env.CNI_IFNAME)!
    const {prevResult, ...config} = JSON.parse(del.stdin)
    t.deepEqual(config, JSON.parse(stdin))
    t.is(del.env.CNI_ARGS, env.CNI_ARGS)
    t.is(del.env.CNI_PATH, env.CNI_PATH)
  }
})

test('a pod that is to go keeps what it has until its runtime takes it down', async t => {
  const {networks, recorder} = await colours(t, {api: {gracefulPods: true}})
  const {node} = networks
  const [ending, over] = [await networks.start({[NPWG]: 'green@g'}), await networks.start({[NPWG]: 'green@g'})]
  const witness = await networks.start({})
  await networks.told(ending, 'attached default/green g')
  await networks.told(over, 'attached default/green g')
  const ref = (pod: Started) => ({resource: 'pods', namespace: 'default', name: pod.name})
  node.api.delete(ref(ending))
  node.api.patch({...ref(over), status: true}, {status: {phase: 'Succeeded'}})
  for (const pod of [ending, over]) networks.annotate(pod, {[NPWG]: 'blue@b'})
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'bridge', mtu: 1400}))
  networks.annotate(witness, {[NPWG]: 'green@g'})
  await networks.told(witness, 'attached default/green g')
  await networks.has(ending, 'g 192.168.42.2/24')
  await networks.has(over, 'g 192.168.42.3/24')
  t.deepEqual(networks.states(ending), ['attached default/green g'])
  await ends(t, networks, recorder, ending, over, witness)
})

test('the API server and the definitions are away when a pod goes', async t => {
  const {networks, recorder} = await colours(t)
  const {node} = networks
  const pod = await networks.start({[NPWG]: 'red@r'})
  networks.annotate(pod, {
    [NPWG]: '[{"name": "red", "interface": "r"}, {"name": "red", "interface": "s", "cni-args": {"a": 1}}]',
  })
  await networks.has(pod, 'r 192.168.41.2/24', 's 192.168.41.3/24')
  networks.define('red', recorder.conf('other', '192.168.99.0/24', {type: 'none'}))
  await networks.told(pod, /^failed|attached default\/red r/, /^failed|attached default\/red s/)
  networks.undefine('red')
  await node.api.faults.down()
  await node.agent.kill()
  node.agent.start()
  await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  // The links go behind the answer.
  await node.until(() => networks.interfaces(pod).length === 0)
  await networks.runtime.clean()
  t.deepEqual(recorder.leases(), [])
  const args = (verb: 'ADD' | 'DEL') =>
    recorder.calls(verb).map(({stdin}) => JSON.stringify(JSON.parse(stdin).args ?? {}))
  t.deepEqual(args('ADD').sort(), args('DEL').sort())
})

test('another controller attaches and detaches beside us', async t => {
  const {networks, recorder} = await colours(t)
  const {runtime} = networks
  const pod = await networks.start({networks: '[{"name": "green"}]'})
  const GREEN = 'net9f27410725ab'
  const RED = 'netbda9643ac660'
  const BLUE = 'net48d6215903df'
  const asks = (network: string, ifname: string, mac = '') => {
    const {config, env} = networks.asked(pod)
    const CNI_ARGS = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.id};K8S_POD_NETWORK=${network};K8S_POD_IFMAC=${mac}`
    return {config: {...config, runtimeConfig: {}}, env: {...env, CNI_ARGS, CNI_IFNAME: ifname}}
  }
  // In no annotation.
  const first = await runtime.add(pod, asks('red', RED, '02:00:00:00:00:41'))
  t.deepEqual(
    first.interfaces.filter(({sandbox}) => sandbox).map(({name, mac}) => `${name} ${mac}`),
    [`${RED} 02:00:00:00:00:41`],
  )
  t.deepEqual(await runtime.add(pod, asks('red', RED, '02:00:00:00:00:41')), first)
  await networks.has(pod, `${GREEN} 192.168.42.2/24`, `${RED} 192.168.41.2/24`)
  await networks.node.until(() => networks.status(pod).length === 3)
  // The annotation says nothing of it: it stays until whoever asked for it takes it away.
  networks.annotate(pod, {networks: '[{"name": "green"}, {"name": "blue"}]'})
  await networks.has(pod, `${GREEN} 192.168.42.2/24`, `${RED} 192.168.41.2/24`, `${BLUE} 192.168.43.2/24`)
  await networks.node.agent.restart()
  await runtime.serving()
  for (let time = 0; time < 2; time++) await runtime.succeeds('DEL', pod, asks('red', RED))
  await networks.has(pod, `${GREEN} 192.168.42.2/24`, `${BLUE} 192.168.43.2/24`)
  await networks.node.until(() => networks.status(pod).length === 3)

  // What the annotation names is there once, whoever was first.
  const there = await runtime.add(pod, asks('blue', BLUE))
  t.is(there.ips[0]!.address, '192.168.43.2/24')
  recorder.slow('ADD', 0.3)
  networks.annotate(pod, {networks: '[{"name": "green"}, {"name": "red"}]'})
  const both = await Promise.all([1, 2].map(() => runtime.add(pod, asks('red', RED))))
  t.deepEqual(both[0], both[1])
  await networks.has(pod, `${GREEN} 192.168.42.2/24`, both[0]!.ips.map(({address}) => `${RED} ${address}`).join())
  await networks.told(pod, `attached default/green ${GREEN}`, `attached default/red ${RED}`)
  t.is(recorder.calls('ADD', RED).length, 2)
  recorder.slow('ADD', 0)
  // Both at once take it away.
  networks.annotate(pod, {networks: '[{"name": "green"}]'})
  await runtime.succeeds('DEL', pod, asks('red', RED))
  await networks.has(pod, `${GREEN} 192.168.42.2/24`)
  // While it is asked for it comes back.
  await runtime.succeeds('DEL', pod, asks('green', GREEN))
  await networks.node.until(() => networks.interfaces(pod).some(each => each.startsWith(GREEN)))
  await runtime.add(pod, asks('blue', BLUE))
  await ends(t, networks, recorder, pod)
  t.deepEqual(networks.interfaces(pod), [])
  // Nothing is known of the pod any more.
  await runtime.succeeds('DEL', pod, asks('blue', BLUE))
  const failure = await runtime.fails('ADD', pod, asks(`none${randomBytes(2).toString('hex')}`, 'net0'))
  t.regex(failure.msg, /there is no network definition/)
  await networks.runtime.clean()
})
