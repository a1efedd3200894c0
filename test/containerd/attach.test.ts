/** Networks of real containers: at their start, while they run, and gone with them. */
import {existsSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {built} from '../agent/support/node.ts'
import {startHost} from './host.ts'
import {pinging, type Running, reaches} from './kubelet.ts'

const {serial} = test
test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
/** Of "green". */
const GREEN = 'net9f27410725ab'
/** Both annotations. */
const BOTH = {networks: '[{"name": "green"}]', [NPWG]: 'lan@lan'}

const macs = ({namespace}: Running): Record<string, string> =>
  Object.fromEntries(namespace.json('link', 'show').map(({ifname, address}) => [ifname, address]))

serial('two pods reach each other over both networks, and are edited while they do', async t => {
  const {networks, kubelet, clean} = await startHost(t)
  const a = await kubelet.start('a', BOTH)
  const b = await kubelet.start('b', BOTH)
  // The addresses of further networks are none that the kubelet may take for the pod's own.
  t.deepEqual(
    [a.ips, b.ips],
    [
      ['10.64.1.2', 'fd00:64:1::2'],
      ['10.64.1.3', 'fd00:64:1::3'],
    ],
  )
  await networks.has(b, `${GREEN} 192.168.42.3/24 fd00:42::3/64`, 'lan 192.168.44.3/24')
  await networks.told(b, 'attached default/lan lan', `attached default/green ${GREEN}`)
  for (const address of [...b.ips, '192.168.42.3', 'fd00:42::3', '192.168.44.3'])
    t.true(await reaches(a, address), address)

  const stay = await Promise.all([b.ip, '192.168.42.3', '192.168.44.3'].map(address => pinging(a, address)))
  networks.annotate(a, {[NPWG]: 'lan@lan,blue@more'})
  await networks.has(a, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24', 'more 192.168.43.2/24')
  networks.annotate(b, {[NPWG]: 'lan@lan,blue@more'})
  await networks.has(b, `${GREEN} 192.168.42.3/24 fd00:42::3/64`, 'lan 192.168.44.3/24', 'more 192.168.43.3/24')
  const more = await pinging(a, '192.168.43.3')
  t.true((await more()) > 0)
  for (const pod of [a, b]) networks.annotate(pod, {[NPWG]: 'lan@lan'})
  await networks.has(a, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24')
  await networks.has(b, `${GREEN} 192.168.42.3/24 fd00:42::3/64`, 'lan 192.168.44.3/24')
  t.false(await reaches(a, '192.168.43.3'))
  for (const each of stay) t.true((await each()) > 0)

  // A pod that asks for nothing has nothing, and reaches the others where it can.
  const plain = await kubelet.start('plain')
  await networks.has(plain)
  t.true(await reaches(plain, a.ip))
  t.false(await reaches(plain, '192.168.42.3'))
  t.is(networks.object(plain)?.metadata.annotations?.['k8s.v1.cni.cncf.io/network-status'], undefined)
  networks.annotate(plain, {[NPWG]: 'lan@lan'})
  await networks.has(plain, 'lan 192.168.44.4/24')
  t.true(await reaches(plain, '192.168.44.2'))

  // With what it was given while it ran.
  networks.annotate(a, {[NPWG]: 'lan@lan,blue@more'})
  await networks.has(a, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24', 'more 192.168.43.4/24')
  await a.stop()
  t.false(await reaches(b, '192.168.42.2'))
  await a.remove()
  await kubelet.remove(b, plain)
  await clean()
})

serial('a pod whose network is not there starts when it is', async t => {
  const {containerd, networks, kubelet, leases, clean} = await startHost(t)
  kubelet.declare('a', {[NPWG]: 'lan@lan,later@later,blue@blue'})
  const refused = await t.throwsAsync(kubelet.run('a'))
  t.regex(
    refused!.message,
    /plugin type="netgraft" failed \(add\): .*there is no network definition "default\/later"; create it, or correct the name/,
  )
  t.log(refused!.message)
  await networks.runtime.clean()
  t.deepEqual(leases(), [])
  t.deepEqual((await containerd.cri.listPodSandbox({})).items, [])
  await networks.told({name: 'a'}, /^pending default\/lan/, /^pending default\/later/, /^pending default\/blue/)

  // The second of two plugins fails: what was made is taken back.
  const wrong = {type: 'tuning', sysctl: {'net.ipv4.conf.IFNAME.no_such_key': '1'}}
  const conf = {type: 'bridge', bridge: 'ng-later', ipam: {type: 'static', addresses: [{address: '192.168.45.2/24'}]}}
  networks.define('later', {cniVersion: '1.0.0', plugins: [conf, wrong]})
  const undone = await t.throwsAsync(kubelet.run('a', {attempt: 1}))
  t.regex(undone!.message, /failed \(add\): later \(network "default\/later"\) cannot be attached: .*no_such_key/)
  t.log(undone!.message)
  await networks.runtime.clean()
  t.deepEqual(leases(), [])

  networks.define('later', {cniVersion: '1.0.0', plugins: [conf]})
  const a = await kubelet.run('a', {attempt: 2})
  t.is(a.ips.length, 2)
  const names = networks.interfaces(a).map(each => each.split(' ')[0])
  t.deepEqual(names, ['blue', 'eth0', 'lan', 'later'])
  t.true(networks.interfaces(a).includes('later 192.168.45.2/24'))
  await networks.told(a, 'attached default/lan lan', 'attached default/later later', 'attached default/blue blue')
  await kubelet.remove(a)
  await clean()
})

serial('the journal is lost: the sandbox is found, and what stands in it is taken on', async t => {
  const {containerd, networks, kubelet, clean} = await startHost(t)
  const {node} = networks
  const a = await kubelet.start('a', BOTH)
  const b = await kubelet.start('b', BOTH)
  // A static pod: its mirror has another UID.
  const hash = 'a3e8dd14b3c1b9a8d2f1e0d9c8b7a695'
  const fixed = await kubelet.start('static', {[NPWG]: 'blue,lan', 'kubernetes.io/config.hash': hash}, {uid: hash})
  networks.annotate(fixed, {[NPWG]: 'lan'})
  await networks.told(fixed, 'attached default/lan net2')
  networks.annotate(a, {[NPWG]: 'lan@lan,blue@more'})
  const standing = [`${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24', 'more 192.168.43.3/24']
  await networks.has(a, ...standing)
  await networks.told(a, 'attached default/lan lan', 'attached default/blue more', `attached default/green ${GREEN}`)
  const [before, status] = [macs(a), networks.status(a)]
  const stay = await Promise.all(
    [a.ip, '192.168.42.2', 'fd00:42::2', '192.168.44.2'].map(address => pinging(b, address)),
  )

  await node.agent.kill()
  rmSync(join(node.agent.state, 'journal'), {recursive: true, maxRetries: 5})
  node.agent.start()
  await networks.runtime.serving()
  await node.until(() => node.agent.metric('netgraft_attachments', {state: 'added'}).then(count => count === 6))
  await networks.has(a, ...standing)
  t.deepEqual(macs(a), before)
  t.deepEqual(networks.status(a), status)
  networks.annotate(a, {[NPWG]: 'lan@lan,blue@new'})
  await networks.has(a, ...standing.slice(0, 2), 'new 192.168.43.4/24')
  // A name that was given stays, though it would be another one now.
  networks.annotate(fixed, {[NPWG]: 'lan,blue@more'})
  await networks.has(fixed, 'net2 192.168.44.4/24', 'more 192.168.43.5/24')
  t.true(await reaches(a, '192.168.43.5'))
  for (const each of stay) t.true((await each()) > 0)

  // Once more, and the runtime goes with it.
  await node.agent.kill()
  rmSync(join(node.agent.state, 'journal'), {recursive: true, maxRetries: 5})
  await containerd.restart(async () => {
    node.agent.start()
    await networks.runtime.serving()
    networks.annotate(a, {[NPWG]: 'blue@new'})
    await networks.told(a, /^pending default\/blue .*ListPodSandbox/, /^pending default\/green /)
  })
  // What has not been asked for since is known by the pod's status.
  await networks.has(a, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'new 192.168.43.4/24')
  await networks.told(a, 'attached default/blue new', `attached default/green ${GREEN}`)
  networks.annotate(a, {[NPWG]: null, networks: null})
  await networks.has(a)
  // With the journal what is half-done would be lost, too.
  await networks.told(a)

  // Nor is a pod forgotten that asks for nothing any more.
  await node.agent.kill()
  rmSync(join(node.agent.state, 'journal'), {recursive: true, maxRetries: 5})
  networks.annotate(fixed, {[NPWG]: null})
  node.agent.start()
  await networks.has(fixed)
  await networks.told(fixed)
  await kubelet.remove(a, b, fixed)
  await clean()
})

serial('an agent that is not there while pods end', async t => {
  const {networks, kubelet, clean} = await startHost(t)
  const {node} = networks
  const a = await kubelet.start('a', BOTH)
  const b = await kubelet.start('b', BOTH)
  networks.annotate(a, {[NPWG]: 'lan@lan,blue@more'})
  await networks.has(a, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24', 'more 192.168.43.2/24')
  await node.agent.kill()
  await a.stop()
  const stay = await pinging(b, '192.168.42.3')
  networks.undefine('lan')
  node.agent.start()
  await networks.runtime.serving()
  // The same pod starts anew before the runtime has forgotten its first sandbox.
  networks.annotate(a, {[NPWG]: 'blue@more'})
  const again = await kubelet.run('a', {attempt: 1})
  t.not(again.id, a.id)
  // Those of the first one are free, and are the last to be given out again.
  await networks.has(again, `${GREEN} 192.168.42.4/24 fd00:42::4/64`, 'more 192.168.43.3/24')
  await a.remove()
  await networks.told(again, 'attached default/blue more', `attached default/green ${GREEN}`)
  t.true(await reaches(b, '192.168.42.4'))
  t.true((await stay()) > 0)
  await kubelet.remove(again, b)
  await clean()
})

serial("a primary network is the pod's eth0", async t => {
  const {containerd, networks, kubelet, clean} = await startHost(t)
  networks.defineNetwork('first', 'bridge', {
    name: 'first',
    cniVersion: '1.0.0',
    bridge: 'ng-first',
    isGateway: true,
    isDefaultGateway: true,
    ipam: {type: 'static', addresses: [{address: '192.168.46.2/24'}, {address: 'fd00:46::2/64'}]},
  })
  const mac = '02:00:00:00:46:02'
  const a = await kubelet.start('a', {
    networks: JSON.stringify([{name: 'green'}, {name: 'first', isPrimary: true, ifMac: mac}]),
  })
  t.deepEqual(a.ips, ['192.168.46.2', 'fd00:46::2'])
  t.is(macs(a).eth0, mac)
  await networks.has(a, `${GREEN} 192.168.42.2/24 fd00:42::2/64`)
  t.regex(await a.exec('ip', 'route'), /^default via 192\.168\.46\.1 dev eth0/m)
  t.true(await reaches(a, '192.168.46.1'))
  t.regex(containerd.namespace.exec('ping', '-c', '1', a.ip), / 1 received/)
  await networks.told(a, `attached default/green ${GREEN}`, 'attached default/first eth0')
  t.like(networks.status(a), [{name: 'default/first', interface: 'eth0', default: true, mac}])
  networks.annotate(a, {networks: '[{"name": "first", "isPrimary": true, "ifMac": "02:00:00:00:46:02"}]'})
  await networks.has(a)
  await kubelet.remove(a)
  await clean()
})

serial('a port of the host leads to the first of several networks', async t => {
  const {containerd, networks, kubelet, clean} = await startHost(t)
  const portMappings = [{protocol: 'TCP', container_port: 80, host_port: 8080}] as const
  const web = await kubelet.start('web', BOTH, {portMappings})
  await networks.has(web, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24')
  const rules = () => containerd.namespace.exec('iptables-save', '-t', 'nat')
  t.regex(rules(), new RegExp(`--dport 8080 -j DNAT --to-destination ${web.ip}:80`))
  t.notRegex(rules(), /192\.168\.4/)
  await web.exec('sh', '-c', 'echo welcome >/tmp/index.html; httpd -p 80 -h /tmp')
  const guest = await kubelet.start('guest')
  t.is(await guest.exec('wget', '-qO-', 'http://192.168.0.1:8080/'), 'welcome\n')
  networks.annotate(web, {[NPWG]: 'blue@more'})
  await networks.has(web, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'more 192.168.43.2/24')
  t.is(await guest.exec('wget', '-qO-', 'http://192.168.0.1:8080/'), 'welcome\n')
  await kubelet.remove(web, guest)
  await clean()
  t.notRegex(rules(), /--dport 8080/)
})

serial('pods start while the API server is away', async t => {
  const {networks, kubelet, clean} = await startHost(t)
  const {node} = networks
  kubelet.declare('a', BOTH)
  kubelet.declare('b', BOTH)
  kubelet.declare('plain')
  const one = await kubelet.start('one', BOTH)
  await node.until(() => existsSync(join(node.agent.state, 'nodes.json')))
  await node.api.faults.down()
  // What the runtime hands over is enough, with the definitions that have been seen.
  const a = await kubelet.run('a')
  await networks.has(a, `${GREEN} 192.168.42.3/24 fd00:42::3/64`, 'lan 192.168.44.3/24')
  t.true(await reaches(a, '192.168.42.2'))

  // Who has not seen them yet does not guess.
  await node.agent.kill()
  node.agent.start()
  await node.says('serving CNI requests')
  const refused = await t.throwsAsync(kubelet.run('b'))
  t.regex(
    refused!.message,
    /plugin type="netgraft" failed \(add\): .*network definition "default\/lan" is not known: the API server .*/,
  )
  t.log(refused!.message)
  const plain = await kubelet.run('plain')
  t.true(await reaches(plain, one.ip))
  await networks.has(one, `${GREEN} 192.168.42.2/24 fd00:42::2/64`, 'lan 192.168.44.2/24')
  await one.stop()
  t.false(await reaches(a, '192.168.42.2'))
  await node.api.faults.up()
  const b = await kubelet.run('b', {attempt: 1})
  t.is(networks.interfaces(b).length, 3)
  await networks.told(a, 'attached default/lan lan', `attached default/green ${GREEN}`)
  await networks.told(b, 'attached default/lan lan', `attached default/green ${GREEN}`)
  await kubelet.remove(a, b, plain, one)
  await clean()
})

serial('many pods at once, and an agent that is killed while they start and while they end', async t => {
  const {networks, kubelet, leases, clean} = await startHost(t)
  const {node} = networks
  const names = Array.from({length: 6}, (_, i) => `p${i}`)
  for (const name of names) kubelet.declare(name, BOTH)
  const starting = Promise.all(names.map(name => kubelet.run(name)))
  starting.catch(() => {})
  // Half of them are there, others are being made.
  await node.until(() => leases().length >= 6)
  await node.agent.kill()
  node.agent.start()
  const pods = await starting
  for (const pod of pods) await networks.told(pod, 'attached default/lan lan', `attached default/green ${GREEN}`)
  const addresses = pods.flatMap(pod => networks.interfaces(pod).flatMap(each => each.split(' ').slice(1)))
  t.is(new Set(addresses).size, 6 * 5)
  t.is(leases().length, 6 * 3)
  for (const pod of pods) networks.annotate(pod, {[NPWG]: 'lan@lan,blue@more'})
  const ending = Promise.all(pods.map(pod => pod.stop()))
  await node.agent.kill()
  node.agent.start()
  await ending
  await kubelet.remove(...pods)
  await clean()
})
